"""The OpenTelemetry metrics of uploads."""

from typing import Final

from roadworthy._metric_instruments import counter

__all__ = ["kept", "refused"]

_METER: Final = "roadworthy.uploads"


def kept(media_type: str, size_bytes: int) -> None:
    """Count a file that was stored."""
    counter(_METER, "roadworthy.uploads.files", "{file}", "Files put into the store").add(
        1, {"file.media_type": media_type}
    )
    counter(_METER, "roadworthy.uploads.bytes", "By", "Bytes of these files").add(
        size_bytes, {"file.media_type": media_type}
    )


def refused(code: str) -> None:
    """Count a body that was not stored, by the code of its answer."""
    counter(_METER, "roadworthy.uploads.refused", "{body}", "Bodies not kept").add(
        1, {"error.type": code}
    )

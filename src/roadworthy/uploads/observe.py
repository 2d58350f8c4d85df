"""What is told of uploads: metrics, to OpenTelemetry, which FastAPI brings."""

from typing import Final

from roadworthy._instruments import counter

__all__ = ["kept", "refused"]

_NAME: Final = "roadworthy.uploads"


def kept(media_type: str, size_bytes: int) -> None:
    """Count a file that was put into the store."""
    counter(_NAME, f"{_NAME}.files", "{file}", "Files put into the store").add(
        1, {"file.media_type": media_type}
    )
    counter(_NAME, f"{_NAME}.bytes", "By", "Bytes of these files").add(
        size_bytes, {"file.media_type": media_type}
    )


def refused(code: str) -> None:
    """Count a body that was refused, by the code of its answer, or whose client left."""
    counter(_NAME, f"{_NAME}.refused", "{body}", "Bodies not kept").add(1, {"error.type": code})

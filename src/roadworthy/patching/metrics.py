"""The OpenTelemetry metric of patches."""

from typing import Final

from roadworthy._metric_instruments import counter

__all__ = ["read"]

_METER: Final = "roadworthy.patching"


def read(media_type: str) -> None:
    """Count a patch that was read, by the media type of its body."""
    counter(_METER, "roadworthy.patching.patches", "{patch}", "Patches that could be read.").add(
        1, {"patch.media_type": media_type}
    )

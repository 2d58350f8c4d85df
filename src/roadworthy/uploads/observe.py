"""What is told of uploads: metrics, to OpenTelemetry, which FastAPI brings."""

from functools import cache
from typing import Final

from opentelemetry import metrics

__all__ = ["kept", "refused"]

_NAME: Final = "roadworthy.uploads"


def kept(media_type: str, size_bytes: int) -> None:
    """Count a file that was put into the store."""
    _files().add(1, {"file.media_type": media_type})
    _bytes().add(size_bytes, {"file.media_type": media_type})


def refused(code: str) -> None:
    """Count a body that was refused, by the code of its answer, or whose client left."""
    _refused().add(1, {"error.type": code})


@cache
def _files() -> metrics.Counter:
    meter = metrics.get_meter(_NAME)
    return meter.create_counter("roadworthy.uploads.files", "{file}", "Files put into the store")


@cache
def _bytes() -> metrics.Counter:
    meter = metrics.get_meter(_NAME)
    return meter.create_counter("roadworthy.uploads.bytes", "By", "Bytes of these files")


@cache
def _refused() -> metrics.Counter:
    meter = metrics.get_meter(_NAME)
    return meter.create_counter("roadworthy.uploads.refused", "{body}", "Bodies not kept")

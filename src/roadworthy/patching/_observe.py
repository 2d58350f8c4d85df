"""What is told of patches: a metric, to OpenTelemetry, which FastAPI brings."""

from functools import cache

from opentelemetry import metrics

__all__ = ["read"]


def read(media_type: str) -> None:
    """Count a patch that could be read, by how it was written."""
    _patches().add(1, {"patch.media_type": media_type})


@cache
def _patches() -> metrics.Counter:
    return metrics.get_meter("roadworthy.patching").create_counter(
        "roadworthy.patching.patches", "{patch}", "Patches that could be read."
    )

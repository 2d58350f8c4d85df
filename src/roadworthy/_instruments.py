"""OpenTelemetry's instruments, which FastAPI brings, each made when it is first used.

Made at import, they would be effects of an import. Asked for twice, the SDK would warn.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

__all__ = ["Observe", "counter", "forget", "gauge", "histogram", "observe"]

Observe = Callable[[CallbackOptions], Iterable[Observation]]
"""What is asked for the values of an instrument whenever somebody reads the meters."""


@cache
def counter(meter: str, name: str, unit: str, description: str) -> metrics.Counter:
    """Return the counter of this name, of this meter."""
    return metrics.get_meter(meter).create_counter(name, unit, description)


@cache
def gauge(meter: str, name: str, unit: str, description: str) -> Any:
    """Return the gauge of this name, of this meter."""
    return metrics.get_meter(meter).create_gauge(name, unit, description)


@cache
def histogram(meter: str, name: str, edges: Sequence[float], description: str) -> metrics.Histogram:
    """Return the histogram of this name, of this meter: of seconds, between these edges."""
    return metrics.get_meter(meter).create_histogram(
        name, "s", description, explicit_bucket_boundaries_advisory=edges
    )


@cache
def observe(meter: str, name: str, unit: str, description: str, values: Observe) -> None:
    """Have what goes up and down told by `values`, from now on."""
    metrics.get_meter(meter).create_observable_up_down_counter(name, [values], unit, description)


def forget() -> None:
    """Make them anew when they are next used: for tests that exchange the provider."""
    for made in (counter, gauge, histogram, observe):
        made.cache_clear()

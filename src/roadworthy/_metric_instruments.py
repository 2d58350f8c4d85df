"""OpenTelemetry's counters, gauges and histograms, each made once, at its first use.

Making them at import would give imports an effect, and of two with one name, one is lost.
OpenTelemetry's API is installed with FastAPI.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, TypeVar

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

__all__ = ["Observe", "counter", "gauge", "histogram", "made", "observe"]

T = TypeVar("T")

Observe: TypeAlias = Callable[[CallbackOptions], Iterable[Observation]]
"""Called for the values of an instrument whenever the meters are read."""
made: dict[str, Any] = {}
"""All instruments, by name; a test that replaces the provider replaces this, too."""


def counter(meter: str, name: str, unit: str, description: str) -> metrics.Counter:
    """Return the counter with this name."""
    return _once(name, lambda: metrics.get_meter(meter).create_counter(name, unit, description))


def gauge(meter: str, name: str, unit: str, description: str) -> Any:
    """Return the gauge with this name."""
    return _once(name, lambda: metrics.get_meter(meter).create_gauge(name, unit, description))


def histogram(meter: str, name: str, edges: Sequence[float], description: str) -> metrics.Histogram:
    """Return the histogram of seconds with this name, whose buckets have these edges."""
    return _once(
        name,
        lambda: metrics.get_meter(meter).create_histogram(
            name, "s", description, explicit_bucket_boundaries_advisory=edges
        ),
    )


def observe(meter: str, name: str, unit: str, description: str, values: Observe) -> None:
    """Report an up-down counter from now on, with the values that `values` returns."""
    _once(
        name,
        lambda: metrics.get_meter(meter).create_observable_up_down_counter(
            name, [values], unit, description
        ),
    )


def _once(name: str, make: Callable[[], T]) -> T:
    if name not in made:
        made[name] = make()
    found: T = made[name]
    return found

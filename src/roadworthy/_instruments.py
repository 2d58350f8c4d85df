"""OpenTelemetry's instruments, which FastAPI brings, each made when it is first used.

Made at import, they would be effects of an import. Made twice, one would hide the other.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, TypeVar

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

__all__ = ["Observe", "counter", "gauge", "histogram", "made", "observe"]

T = TypeVar("T")

Observe: TypeAlias = Callable[[CallbackOptions], Iterable[Observation]]
"""What is asked for the values of an instrument whenever somebody reads the meters."""
made: dict[str, Any] = {}
"""Those that there are, by their names; a test that exchanges the provider exchanges it, too."""


def counter(meter: str, name: str, unit: str, description: str) -> metrics.Counter:
    """Return the counter of this name, of this meter."""
    return _once(name, lambda: metrics.get_meter(meter).create_counter(name, unit, description))


def gauge(meter: str, name: str, unit: str, description: str) -> Any:
    """Return the gauge of this name, of this meter."""
    return _once(name, lambda: metrics.get_meter(meter).create_gauge(name, unit, description))


def histogram(meter: str, name: str, edges: Sequence[float], description: str) -> metrics.Histogram:
    """Return the histogram of this name, of this meter: of seconds, between these edges."""
    return _once(
        name,
        lambda: metrics.get_meter(meter).create_histogram(
            name, "s", description, explicit_bucket_boundaries_advisory=edges
        ),
    )


def observe(meter: str, name: str, unit: str, description: str, values: Observe) -> None:
    """Report an up-down counter, whose values `values` returns, from now on."""
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

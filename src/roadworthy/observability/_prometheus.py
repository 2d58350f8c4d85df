"""Meters as text that Prometheus reads: its own format, and OpenMetrics where asked for.

Names are made as OpenTelemetry's rules for Prometheus have it: `http.server.request.duration`
in seconds is `http_server_request_duration_seconds`, and a counter ends in `_total`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf
from threading import Lock
from typing import Any, Final, Literal

from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    HistogramDataPoint,
    Metric,
    MetricReader,
    MetricsData,
    NumberDataPoint,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramData

__all__ = ["OPEN_METRICS", "TEXT", "PrometheusReader", "render"]

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_Kind = Literal["counter", "gauge", "histogram"]
_INSTRUMENTS: Final = (
    *(Counter, UpDownCounter, Histogram),
    *(ObservableCounter, ObservableUpDownCounter, ObservableGauge),
)
_UNITS: Final = {"s": "seconds", "ms": "milliseconds", "By": "bytes", "%": "percent"}
_NOT_IN_NAMES: Final = re.compile(r"[^a-zA-Z0-9]+")


class PrometheusReader(MetricReader):
    """Read all meters when somebody asks."""

    def __init__(self) -> None:
        # Where the environment asks exporters for deltas, this is not what it means.
        super().__init__(
            preferred_temporality=dict.fromkeys(_INSTRUMENTS, AggregationTemporality.CUMULATIVE)
        )
        self._data: MetricsData | None = None
        self._lock = Lock()

    def text(self, *, open_metrics: bool = False) -> str:
        """Return every meter as it stands."""
        with self._lock:
            self.collect()
            data, self._data = self._data, None
        return render(data, open_metrics=open_metrics)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Do nothing: this one is asked, and sends nothing."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Do nothing: there is nothing to close."""

    def _receive_metrics(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> None:
        self._data = metrics_data


@dataclass(slots=True)
class _Family:
    """One name, and all that meters say under it."""

    name: str
    kind: _Kind
    unit: str
    help: str
    points: list[Any] = field(default_factory=list[Any])


def render(data: MetricsData | None, *, open_metrics: bool) -> str:
    """Return the text of what was collected."""
    lines: list[str] = []
    for family in _families(data):
        lines += _lines(family, open_metrics=open_metrics)
    if data is not None and data.resource_metrics:
        lines += _target(data.resource_metrics[0].resource.attributes, open_metrics=open_metrics)
    if open_metrics:
        lines.append("# EOF")
    return "\n".join([*lines, ""])


def _families(data: MetricsData | None) -> Iterable[_Family]:
    families: dict[str, _Family] = {}
    for metric in _metrics(data):
        kind = _kind(metric)
        if kind is None:
            continue
        name, unit = _name(metric.name, metric.unit or "", kind)
        family = families.setdefault(name, _Family(name, kind, unit, metric.description or ""))
        if family.kind == kind:  # else a name has two meanings, and the first one keeps it
            family.points += metric.data.data_points
    return sorted(families.values(), key=lambda family: family.name)  # for who reads it


def _metrics(data: MetricsData | None) -> Iterator[Metric]:
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            yield from scope.metrics


def _kind(metric: Metric) -> _Kind | None:
    match metric.data:
        case Sum(is_monotonic=True):
            return "counter"
        case Sum() | Gauge():
            return "gauge"
        case HistogramData():
            return "histogram"
        case _:  # exponential histograms have no text
            return None


@lru_cache(maxsize=4096)
def _name(name: str, unit: str, kind: _Kind) -> tuple[str, str]:
    """Return the name without `_total`, and the unit that it ends with."""
    name = _label_name(name)
    if kind == "counter":
        name = name.removesuffix("_total")
    word = _UNITS.get(unit, "")
    if word and not name.endswith(word):
        name = f"{name}_{word}"
    return name, word


@lru_cache(maxsize=4096)
def _label_name(name: str) -> str:
    clean = _NOT_IN_NAMES.sub("_", name).strip("_")
    return f"_{clean}" if clean[:1].isdigit() or not clean else clean


def _lines(family: _Family, *, open_metrics: bool) -> Iterator[str]:
    sample = f"{family.name}_total" if family.kind == "counter" else family.name
    named = family.name if open_metrics else sample
    if family.help or not open_metrics:
        yield f"# HELP {named} {_escaped(family.help)}"
    yield f"# TYPE {named} {family.kind}"
    if open_metrics and family.unit:
        yield f"# UNIT {named} {family.unit}"
    for point in family.points:
        if family.kind == "histogram":
            yield from _histogram(sample, point)
        else:
            yield _number(sample, point)


def _number(name: str, point: NumberDataPoint) -> str:
    return f"{name}{_braced(_labels(point.attributes))} {_value(point.value)}"


def _histogram(name: str, point: HistogramDataPoint) -> Iterator[str]:
    labels, below = _labels(point.attributes), 0
    for bound, count in zip((*point.explicit_bounds, inf), point.bucket_counts, strict=True):
        below += count
        edge = f'le="{_value(float(bound))}"'
        yield f"{name}_bucket{_braced([*labels, edge])} {below}"
    yield f"{name}_sum{_braced(labels)} {_value(point.sum)}"
    yield f"{name}_count{_braced(labels)} {point.count}"


def _target(attributes: Mapping[str, Any], *, open_metrics: bool) -> Iterator[str]:
    """Yield who is measured."""
    if not attributes:
        return
    named, kind = ("target", "info") if open_metrics else ("target_info", "gauge")
    yield f"# HELP {named} What is measured here."
    yield f"# TYPE {named} {kind}"
    yield f"target_info{_braced(_labels(attributes))} 1"


def _labels(attributes: Mapping[str, Any] | None) -> Sequence[str]:
    found = {_label_name(name): value for name, value in (attributes or {}).items()}
    return [f'{name}="{_label(value)}"' for name, value in sorted(found.items())]


def _braced(labels: Sequence[str]) -> str:
    return f"{{{','.join(labels)}}}" if labels else ""


def _label(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return _escaped(str(value)).replace('"', '\\"')


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _value(value: float) -> str:
    if value in {inf, -inf}:
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if value != value else repr(value)  # noqa: PLR0124 - only NaN is not itself

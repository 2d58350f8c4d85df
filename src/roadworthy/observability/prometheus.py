"""Metrics as text for Prometheus: its own format, and OpenMetrics where asked for.

Names are made as OpenTelemetry's rules for Prometheus have it: `http.server.request.duration`
in seconds is `http_server_request_duration_seconds`, and a counter ends in `_total`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from math import inf
from threading import Lock
from typing import Any, Final

from roadworthy._internal.extras import extra

with extra("telemetry", of="Telemetry"):
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
        Sum,
    )
    from opentelemetry.sdk.metrics.export import Histogram as HistogramData

from roadworthy.observability.metric_families import Buckets, Family, Kind, Labels, Snapshot, Value

__all__ = ["OPEN_METRICS", "TEXT", "PrometheusReader", "render"]

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
"""The media type of the Prometheus text format."""
OPEN_METRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
"""The media type of OpenMetrics 1.0."""

_INSTRUMENTS: Final = (
    *(Counter, UpDownCounter, Histogram),
    *(ObservableCounter, ObservableUpDownCounter, ObservableGauge),
)
_UNITS: Final = {"s": "seconds", "ms": "milliseconds", "By": "bytes", "%": "percent"}
_NOT_IN_NAMES: Final = re.compile(r"[^a-zA-Z0-9]+")


class PrometheusReader(MetricReader):
    """A reader of all meters of one provider, on demand."""

    def __init__(self) -> None:
        # Where the environment asks exporters for deltas, this is not what it means.
        super().__init__(
            preferred_temporality=dict.fromkeys(_INSTRUMENTS, AggregationTemporality.CUMULATIVE)
        )
        self._data: MetricsData | None = None
        self._lock = Lock()

    def snapshot(self) -> Snapshot:
        """Return every meter of this process as it stands."""
        with self._lock:
            self.collect()
            data, self._data = self._data, None
        return _snapshot(data)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Do nothing: this reader sends nothing."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Do nothing: there is nothing to close."""

    def _receive_metrics(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> None:
        self._data = metrics_data


def render(snapshot: Snapshot, *, open_metrics: bool) -> str:
    """Return a snapshot as text."""
    lines: list[str] = []
    families = snapshot.families.values()
    for family in sorted(families, key=lambda family: family.name):  # for who reads it
        lines += _lines(family, open_metrics=open_metrics)
    lines += _target(snapshot.target, open_metrics=open_metrics)
    if open_metrics:
        lines.append("# EOF")
    return "\n".join([*lines, ""])


def _snapshot(data: MetricsData | None) -> Snapshot:
    made = Snapshot()
    for metric in _metrics(data):
        kind = _kind(metric)
        if kind is None:
            continue
        name, unit = _name(metric.name, metric.unit or "", kind)
        # None: a name has two meanings, and the first one keeps it.
        family = made.family(Family(name, kind, unit, metric.description or ""))
        if family is not None:
            for point in metric.data.data_points:
                family.add(_labels(point.attributes), _value_of(point))
    if data is not None and data.resource_metrics:
        made.target = dict(_labels(data.resource_metrics[0].resource.attributes))
    return made


def _metrics(data: MetricsData | None) -> Iterator[Metric]:
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            yield from scope.metrics


def _kind(metric: Metric) -> Kind | None:
    match metric.data:
        case Sum(is_monotonic=True):
            return "counter"
        case Sum():
            return "up_down"
        case Gauge():
            return "gauge"
        case HistogramData():
            return "histogram"
        case _:  # exponential histograms have no text
            return None


@lru_cache(maxsize=4096)
def _name(name: str, unit: str, kind: Kind) -> tuple[str, str]:
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


def _lines(family: Family, *, open_metrics: bool) -> Iterator[str]:
    sample = f"{family.name}_total" if family.kind == "counter" else family.name
    named = family.name if open_metrics else sample
    if family.help or not open_metrics:
        yield f"# HELP {named} {_escaped_help(family.help)}"
    yield f"# TYPE {named} {'gauge' if family.kind == 'up_down' else family.kind}"
    if open_metrics and family.unit:
        yield f"# UNIT {named} {family.unit}"
    for labels, value in family.points.items():
        if isinstance(value, Buckets):
            yield from _histogram(sample, labels, value)
        else:
            yield f"{sample}{_braced(labels)} {_value(value)}"


def _histogram(name: str, labels: Labels, value: Buckets) -> Iterator[str]:
    below = 0
    for bound, count in zip((*value.bounds, inf), value.counts, strict=True):
        below += count
        yield f"{name}_bucket{_braced((*labels, ('le', _value(float(bound)))))} {below}"
    yield f"{name}_sum{_braced(labels)} {_value(value.sum)}"
    yield f"{name}_count{_braced(labels)} {below}"


def _target(attributes: Mapping[str, str], *, open_metrics: bool) -> Iterator[str]:
    """Yield the lines of the resource that is measured."""
    if not attributes:
        return
    named, kind = ("target", "info") if open_metrics else ("target_info", "gauge")
    yield f"# HELP {named} What is measured here."
    yield f"# TYPE {named} {kind}"
    yield f"target_info{_braced(sorted(attributes.items()))} 1"


def _labels(attributes: Mapping[str, Any] | None) -> Labels:
    found = {_label_name(name): _text(value) for name, value in (attributes or {}).items()}
    return tuple(sorted(found.items()))


def _braced(labels: Iterable[tuple[str, str]]) -> str:
    pairs = [f'{name}="{_escaped(value)}"' for name, value in labels]
    return f"{{{','.join(pairs)}}}" if pairs else ""


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value_of(point: Any) -> Value:
    if isinstance(point, HistogramDataPoint):
        bounds = tuple(point.explicit_bounds)
        return Buckets(bounds, tuple(point.bucket_counts), point.sum)
    value: float = point.value
    return value


def _escaped(text: str) -> str:
    return _escaped_help(text).replace('"', '\\"')


def _escaped_help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _value(value: float) -> str:
    if value in {inf, -inf}:
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if value != value else repr(value)  # noqa: PLR0124 - only NaN is not itself

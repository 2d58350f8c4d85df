"""The providers of OpenTelemetry's SDK, made so that nothing leaves them unredacted."""

from collections.abc import Iterable, Mapping, Sequence
from weakref import WeakKeyDictionary

from opentelemetry import _logs, metrics, trace
from opentelemetry.metrics import NoOpMeterProvider

from roadworthy._internal.extras import extra

with extra("telemetry", of="Telemetry"):
    from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.sampling import Sampler

from roadworthy.observability.guards import LogGuard, SpanGuard
from roadworthy.observability.meters import Meters
from roadworthy.observability.redaction import Redaction
from roadworthy.observability.requests import RequestWatcher

__all__ = ["Providers"]


class Providers:
    """The meter, tracer and logger providers of one application; None where it has none."""

    def __init__(self, redaction: Redaction, resource: Mapping[str, str]) -> None:
        self.meter: MeterProvider | None = None
        self.tracer: TracerProvider | None = None
        self.logger: LoggerProvider | None = None
        self.guard: SpanGuard | None = None
        self.meters: Meters | None = None
        """What reads the meters for `/metrics`."""
        self._pushing: tuple[MetricReader, ...] = ()
        self._redaction = redaction
        self._resource = Resource.create(dict(resource))
        self._named = sorted(resource.items())

    def measure(self, given: MeterProvider | None, readers: Sequence[MetricReader]) -> None:
        """Use the given meter provider, else that of the process, else a new one."""
        there = given or metrics.get_meter_provider()
        if not isinstance(there, MeterProvider):
            there = MeterProvider(resource=self._resource)
        for reader in readers:
            there.add_metric_reader(reader)
        self._pushing = tuple(readers)
        self.meter = there
        self.meters = _read.get(there)
        if self.meters is None:
            self.meters = _read[there] = Meters(f"metrics {len(_read)} {self._named}")
            there.add_metric_reader(self.meters.reader)

    def trace(self, processors: Iterable[SpanProcessor], sampler: Sampler | None) -> None:
        """Make a tracer provider. Processors that are added later stand behind the guard, too."""
        self.guard = SpanGuard(self._redaction)
        self.tracer = TracerProvider(
            sampler=sampler, resource=self._resource, active_span_processor=self.guard
        )
        for processor in processors:
            self.tracer.add_span_processor(processor)

    def log(self, processors: Iterable[LogRecordProcessor]) -> None:
        """Make a logger provider, behind a guard as well."""
        self.logger = LoggerProvider(
            resource=self._resource, multi_log_record_processor=LogGuard(self._redaction)
        )
        for processor in processors:
            self.logger.add_log_record_processor(processor)

    def watcher(self, *, untold: frozenset[str]) -> RequestWatcher:
        """Return the watcher that measures requests and ends their spans."""
        meter = self.meter or NoOpMeterProvider()
        return RequestWatcher(meter.get_meter("roadworthy.requests"), self.guard, untold)

    def measures_for(self, provider: MeterProvider | None) -> bool:
        """Return whether a meter provider is ours; None stands for that of the process."""
        return self.meter is not None and (provider or metrics.get_meter_provider()) is self.meter

    def register(self) -> None:
        """Register the providers for the process, unless it has some already."""
        if self.meter is not None and not isinstance(metrics.get_meter_provider(), MeterProvider):
            metrics.set_meter_provider(self.meter)
        if self.tracer is not None and not isinstance(trace.get_tracer_provider(), TracerProvider):
            trace.set_tracer_provider(self.tracer)
        if self.logger is not None and not isinstance(_logs.get_logger_provider(), LoggerProvider):
            _logs.set_logger_provider(self.logger)

    def flush(self, seconds: float) -> None:
        """Send what exporters still hold. Blocks."""
        # Not the provider of the meters: it does not know what was added to it.
        for holder in (self.tracer, self.logger, *self._pushing):
            if holder is not None:
                holder.force_flush(int(seconds * 1000))


_read: WeakKeyDictionary[MeterProvider, Meters] = WeakKeyDictionary()
"""Two applications of one process read the same meters: a second reader would cost twice."""

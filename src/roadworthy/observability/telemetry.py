"""`Telemetry`: FastAPI's own OpenTelemetry, with what it lacks.

    telemetry = Telemetry(redact=("email",))
    app = FastAPI(telemetry=telemetry.options())
    problems.install(app)
    telemetry.install(app)  # GET /metrics

It works without a collector: `/metrics` is read from the meters of this process, and of
the other workers of the same server, where it has several.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, FastAPI, Request, Response, params
from fastapi.telemetry import TelemetryConfig
from fastapi.utils import generate_unique_id

from roadworthy import _fastapi, problems
from roadworthy.lifespan import lifespan
from roadworthy.observability.redaction import Redaction
from roadworthy.problems.mounted import applications_in

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import LogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.sampling import Sampler

    from roadworthy.observability.meters import Meters
    from roadworthy.observability.providers import Providers

__all__ = ["Telemetry"]

_FLUSH_SECONDS: Final = 5.0
_INSTALLED: Final = "roadworthy_telemetry"

_log = logging.getLogger("roadworthy.observability")


class Telemetry:
    """Measure, trace and log what a service does; nothing leaves unredacted.

    `install` makes its providers those of the process, where there are none, so that jobs
    and databases are measured, too. It is a part for `lifespan(...)`: closing sends what is
    left, and a worker, which has no application, writes `async with telemetry`. Query
    strings keep their names only, exceptions their types and frames.

    Args:
        redact: Names of fields whose values are removed, beside passwords, tokens and cookies.
        metrics: Whether anything is measured.
        tracing: Whether spans are made: by default where `span_processors` are given. True is
            for `FASTAPI_OTEL_AUTO_CONFIGURE`, whose exporters get the same redacted spans.
        logs: Whether log events (crashes, refused bodies) are made: by default where
            `log_processors` are given.
        operation_spans: Whether to add FastAPI's spans of dependencies and endpoints.
        span_processors: OpenTelemetry's processors of spans.
        log_processors: OpenTelemetry's processors of log events.
        metric_readers: OpenTelemetry's readers of metrics, added to the meter provider.
        meter_provider: The meter provider; by default that of the process, else a new one.
        sampler: OpenTelemetry's sampler of traces.
        resource: Attributes of the service: `{"service.name": "shop"}`.
        untold: Paths whose requests are neither measured nor traced.

    Raises:
        ModuleNotFoundError: OpenTelemetry's SDK is not installed.
    """

    def __init__(
        self,
        *,
        redact: Iterable[str] = (),
        metrics: bool = True,
        tracing: bool | None = None,
        logs: bool | None = None,
        operation_spans: bool = False,
        span_processors: "Sequence[SpanProcessor]" = (),
        log_processors: "Sequence[LogRecordProcessor]" = (),
        metric_readers: "Sequence[MetricReader]" = (),
        meter_provider: "MeterProvider | None" = None,
        sampler: "Sampler | None" = None,
        resource: Mapping[str, str] | None = None,
        untold: Iterable[str] = ("/metrics",),
    ) -> None:
        providers = _providers(redact, resource or {})
        if metrics:
            providers.measure(meter_provider, metric_readers)
        if bool(span_processors) if tracing is None else tracing:
            providers.trace(span_processors, sampler)
        if bool(log_processors) if logs is None else logs:
            providers.log(log_processors)
        self._providers = providers
        self._operation_spans = operation_spans
        self._untold = frozenset(untold)

    def options(self) -> TelemetryConfig:
        """Return what `FastAPI(telemetry=...)` takes.

        FastAPI's own metrics are off: `install` measures requests when all of them is over,
        so that what failed late and who left are not counted as a 200. For the same reason
        `FASTAPI_OTEL_AUTO_CONFIGURE` exports no metrics: give `metric_readers`.
        """
        tracer, logger = self._providers.tracer, self._providers.logger
        return TelemetryConfig(
            meter_provider=self._providers.meter,
            tracer_provider=tracer,
            logger_provider=logger,
            metrics=False,
            tracing=tracer is not None,
            logs=logger is not None,
            operation_spans=self._operation_spans,
            exclude=self._is_untold,
        )

    def install(
        self,
        app: FastAPI,
        *,
        path: str | None = "/metrics",
        dependencies: Sequence[params.Depends] = (),
    ) -> None:
        """Open it with `app`, and answer `GET /metrics` with what it has measured.

        Requests are measured where `problems.install` puts the application under its
        contract: that layer alone knows how they ended.
        `path=None` answers nothing; `dependencies` say who may ask. The route is not in
        the documentation. Where the application was made without `options()`, FastAPI's own
        metrics of requests are turned off, so that none is counted twice, and that is logged.

        Raises:
            RuntimeError: `app` has telemetry already; or at start-up, where
                `problems.install(app)` is missing.
        """
        if hasattr(app.state, _INSTALLED):
            raise RuntimeError(
                "This application has telemetry already, and would count each request twice. "
                "Call Telemetry.install(app) once, with all that it needs."
            )
        setattr(app.state, _INSTALLED, True)
        self._providers.register()  # now: what opens before us has things to tell, too
        if _fastapi.stop_measuring(app, self._providers.measures_for):
            _log.warning(
                "FastAPI's own metrics of requests are off, since Telemetry measures them. "
                "Write FastAPI(telemetry=telemetry.options())."
            )
        router = APIRouter(lifespan=lifespan(self, self._measured_once(app)))
        if path is not None and self._providers.meter is not None:
            router.add_api_route(
                path,
                self._answer,
                methods=["GET", "HEAD"],
                dependencies=dependencies,
                include_in_schema=False,
                generate_unique_id_function=generate_unique_id,  # not the application's
            )
        app.include_router(router)
        problems.watch(app, self._providers.watcher(untold=self._untold))

    def metrics_text(self, *, open_metrics: bool = False) -> str:
        """Return all meters of this process as Prometheus reads them.

        `/metrics` tells of all workers of the server.

        Raises:
            RuntimeError: It measures nothing: `Telemetry(metrics=False)`.
        """
        return self._meters.text(open_metrics=open_metrics)

    async def totals(self, name: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Return a counter of all workers of this server, by its labels; empty where it has none.

        Args:
            name: As `/metrics` names it, without `_total`: `roadworthy_idempotency_replays`.

        Raises:
            OSError: A worker that hangs keeps the others from reading.
            RuntimeError: It measures nothing.
        """
        family = (await self._meters.snapshot_of_all()).families.get(name)
        points = {} if family is None else family.points
        return {at: value for at, value in points.items() if isinstance(value, float | int)}

    async def __aenter__(self) -> "Telemetry":
        self._providers.register()
        if self._providers.meters is not None:
            await self._providers.meters.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._providers.meters is not None:
            await self._providers.meters.close()
        try:
            async with asyncio.timeout(_FLUSH_SECONDS):
                await asyncio.to_thread(self._providers.flush, _FLUSH_SECONDS)
        except Exception as failure:  # whatever an exporter raises must not stop the stopping
            _log.warning("telemetry was not sent to its end", exc_info=failure)

    @property
    def _meters(self) -> "Meters":
        if self._providers.meters is None:
            raise RuntimeError("Nothing is measured: leave out metrics=False.")
        return self._providers.meters

    async def _answer(self, request: Request) -> Response:
        wanted = "application/openmetrics-text" in request.headers.get("accept", "")
        try:
            text = await self._meters.text_of_all(open_metrics=wanted)
        except (TimeoutError, OSError) as error:
            # Less than all of it would look as if counters had gone back.
            _log.warning("the meters of the other workers cannot be read", exc_info=error)
            raise problems.ServiceUnavailable from error
        return Response(text, media_type=_media_type(open_metrics=wanted))

    @asynccontextmanager
    async def _measured_once(self, app: FastAPI) -> AsyncGenerator[None]:
        """Check at start that the contract is installed, and nothing else measures."""
        if not problems.is_installed(app):
            raise RuntimeError(
                "Requests are measured by the error contract: add problems.install(app)."
            )
        for mounted in applications_in(app):
            _fastapi.stop_measuring(mounted, self._providers.measures_for)
        yield

    def _is_untold(self, scope: MutableMapping[str, Any]) -> bool:
        return scope.get("path") in self._untold


def _providers(redact: Iterable[str], resource: Mapping[str, str]) -> "Providers":
    # Not at the top: the SDK is an extra, and who only logs requests needs none.
    from roadworthy.observability.providers import Providers  # noqa: PLC0415

    return Providers(Redaction(redact), resource)


def _media_type(*, open_metrics: bool) -> str:
    from roadworthy.observability.prometheus import OPEN_METRICS, TEXT  # noqa: PLC0415

    return OPEN_METRICS if open_metrics else TEXT

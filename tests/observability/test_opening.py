"""Telemetry opens and closes with the application, and is missed only where it is used."""

import subprocess
import sys

import httpx
from fastapi import FastAPI
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from roadworthy import problems
from roadworthy.observability import Telemetry

AN_HOUR = 3_600_000


class Exporter(MetricExporter):
    """Keep what was sent."""

    def __init__(self):
        super().__init__()
        self.sent = []

    def export(self, metrics_data, timeout_millis=10_000, **kwargs):
        self.sent.append(metrics_data)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis=10_000):
        return True

    def shutdown(self, timeout_millis=30_000, **kwargs): ...


async def test_what_is_left_is_sent_when_the_application_stops():
    spans, meters = InMemorySpanExporter(), Exporter()
    telemetry = Telemetry(
        meter_provider=MeterProvider(),
        span_processors=[BatchSpanProcessor(spans, schedule_delay_millis=AN_HOUR)],
        metric_readers=[PeriodicExportingMetricReader(meters, export_interval_millis=AN_HOUR)],
    )
    app = FastAPI(telemetry=telemetry.options())
    problems.install(app)
    telemetry.install(app)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        await client.get("/nowhere")
        assert (spans.get_finished_spans(), meters.sent) == ((), [])

        async with app.router.lifespan_context(app):
            pass

    assert len(spans.get_finished_spans()) == 1
    assert "http.server.request.duration" in meters.sent[-1].to_json()


async def test_an_exporter_that_fails_does_not_stop_the_stopping(caplog):
    class Broken(BatchSpanProcessor):
        def force_flush(self, timeout_millis=None):
            raise ConnectionError("no collector")

    telemetry = Telemetry(
        meter_provider=MeterProvider(), span_processors=[Broken(InMemorySpanExporter())]
    )

    async with telemetry:
        pass

    assert "telemetry was not sent to its end" in caplog.text


WITHOUT_SDK = """
import sys
sys.modules["opentelemetry.sdk"] = None
from roadworthy.observability import RequestLog, Telemetry, log_config
RequestLog(), log_config()
try:
    Telemetry()
except ModuleNotFoundError as missing:
    print(missing)
"""


def test_who_only_logs_needs_no_sdk_and_others_are_told_what_to_install():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SDK], capture_output=True, text=True, check=True
    )

    assert "pip install 'roadworthy[telemetry]'" in done.stdout

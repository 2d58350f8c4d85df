"""Run some jobs in a process that has OpenTelemetry's SDK, and print what was told.

`python -m jobs.told <url>` prints JSON: metrics, spans, and the ids of the requests.
The providers of OpenTelemetry can be set once in a process, so this is one of its own.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy.ext.asyncio import AsyncSession

from jobs.opened import database, rows
from roadworthy.jobs import Backoff, Embedded, GiveUp, Job, Jobs, task
from support.polling import until_async as until

SOON = Backoff(first=timedelta(milliseconds=1))


@task(name="fine")
async def fine() -> None: ...


@task(name="with_tx")
async def with_tx(tx: AsyncSession) -> None: ...


@task(name="flaky", backoff=SOON)
async def flaky(job: Job) -> None:
    if job.attempt < 3:
        raise ConnectionResetError("hunter2")


@task(name="hopeless")
async def hopeless() -> None:
    raise GiveUp("hunter2")


@task(name="elsewhere", queue="elsewhere")
async def elsewhere() -> None: ...


async def main(url: str) -> None:
    reader, spans = InMemoryMetricReader(), InMemorySpanExporter()
    metrics.set_meter_provider(MeterProvider([reader]))
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(provider)
    traces = await run_jobs(url)
    json.dump({"metrics": told(reader), "spans": seen(spans), "traces": traces}, sys.stdout)


async def run_jobs(url: str) -> dict[str, str]:
    """Enqueue each of the tasks within the span of a request, and let them end."""
    ours = [fine, with_tx, flaky, hopeless, elsewhere]
    engine = Embedded(processes=1, queues=["default"])
    traces: dict[str, str] = {}
    async with database(url) as db:
        async with db.begin() as tx:
            hour_ago = datetime.now(UTC) - timedelta(hours=1)
            await elsewhere.options(run_at=hour_ago).enqueue(tx)
            await elsewhere.enqueue(tx)
            await fine.options(run_at=hour_ago).enqueue(tx)
        async with Jobs(db, tasks=ours, engine=engine):
            for one in ours[1:4]:
                with trace.get_tracer("test").start_as_current_span(f"request {one.name}") as span:
                    traces[one.name] = trace.format_trace_id(span.get_span_context().trace_id)
                    async with db.begin() as tx:
                        await one.enqueue(tx)
            await until(lambda: settled(db))
    return traces


async def settled(db: Any) -> bool:
    states = sorted(row.state for row in await rows(db))
    return states == ["dead", "queued", "queued", "succeeded", "succeeded", "succeeded"]


def told(reader: InMemoryMetricReader) -> dict[str, list[dict[str, Any]]]:
    """Return the points of each metric."""
    data = json.loads(reader.get_metrics_data().to_json())
    return {
        metric["name"]: [
            {
                "labels": point["attributes"],
                "unit": metric["unit"],
                **{key: point[key] for key in ("value", "count", "sum") if key in point},
            }
            for point in metric["data"]["data_points"]
        ]
        for resource in data["resource_metrics"]
        for scope in resource["scope_metrics"]
        for metric in scope["metrics"]
    }


def seen(exporter: InMemorySpanExporter) -> list[dict[str, Any]]:
    """Return every span as text and facts."""
    return [json.loads(span.to_json()) for span in exporter.get_finished_spans()]


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

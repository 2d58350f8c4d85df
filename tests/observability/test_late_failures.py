"""What fails after the response has begun is told: on the span, and by a counter.

FastAPI ends the span and the duration with the last byte: 200, and no error.
"""

import asyncio
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException
from fastapi.responses import JSONResponse, StreamingResponse
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from prometheus_client.parser import text_string_to_metric_families

from roadworthy import problems
from roadworthy.observability import Telemetry


class CommitFailed(Exception):
    """What a database says when it is too late."""


async def late_commit():
    yield
    raise CommitFailed("card 4111")


async def fail():
    raise CommitFailed("card 4111")


class Exporter(InMemorySpanExporter):
    """Keep spans, and let a test wait for the first one."""

    def __init__(self):
        super().__init__()
        self.told = asyncio.Event()

    def export(self, spans):
        self.told.set()
        return super().export(spans)


class Server(uvicorn.Server):
    """Serve on real sockets, in the event loop of the test."""

    def __init__(self, config):
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets=None):
        await super().startup(sockets)
        self.ready.set()


class Service:
    """An application with every way to fail late, and what was told of it."""

    def __init__(self):
        self.exporter = Exporter()
        self.telemetry = Telemetry(
            meter_provider=MeterProvider(),
            span_processors=[SimpleSpanProcessor(self.exporter)],
        )
        app = self.app = FastAPI(telemetry=self.telemetry.options())
        app.get("/fine/{item_id}")(self.fine)
        app.get("/refused")(self.refused)
        app.get("/commit/{item_id}", dependencies=[Depends(late_commit)])(self.fine)
        app.get("/task/{item_id}")(self.task)
        app.get("/refusing-task")(self.refusing_task)
        app.get("/stream")(self.stream)
        app.get("/events")(self.events)
        app.post("/slow/{item_id}")(self.slow)
        app.get("/endless")(self.endless)
        problems.install(app)
        self.telemetry.install(app)

    async def fine(self, item_id: int) -> int:
        return item_id

    async def refused(self) -> None:
        raise HTTPException(409)

    async def task(self, item_id: int, tasks: BackgroundTasks) -> int:
        tasks.add_task(fail)
        return item_id

    async def refusing_task(self, tasks: BackgroundTasks) -> None:
        tasks.add_task(self.refused)

    async def stream(self) -> StreamingResponse:
        return StreamingResponse(self.pieces(), media_type="application/octet-stream")

    async def events(self) -> StreamingResponse:
        return StreamingResponse(self.pieces(), media_type="text/event-stream")

    async def pieces(self):
        yield b"data: one\n\n"
        raise CommitFailed("card 4111")

    async def slow(self, item_id: int, body: dict[str, int]) -> int:
        await asyncio.sleep(0.3)
        return item_id

    async def endless(self) -> StreamingResponse:
        async def forever():
            while True:
                yield b"x"
                await asyncio.sleep(0.01)

        return StreamingResponse(forever())

    @asynccontextmanager
    async def serving(self):
        config = uvicorn.Config(self.app, port=0, log_level="critical", lifespan="off")
        server = Server(config)
        serving = asyncio.create_task(server.serve())
        await server.ready.wait()
        self.port = server.servers[0].sockets[0].getsockname()[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}") as client:
            yield client
        server.should_exit = True
        await serving

    async def span(self):
        """Return the one span that was exported, when it was."""
        async with asyncio.timeout(5):
            await self.exporter.told.wait()
        (span,) = self.exporter.get_finished_spans()
        return span

    def counted(self, name):
        text = self.telemetry.metrics_text()
        families = {family.name: family for family in text_string_to_metric_families(text)}
        family = families.get(f"roadworthy_requests_{name}")
        return [(s.labels, s.value) for s in family.samples] if family else []

    def measured(self):
        """Return the labels of each series of durations."""
        text = self.telemetry.metrics_text()
        return [
            sample.labels
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "http_server_request_duration_seconds_count"
        ]


FAILED = f"{CommitFailed.__module__}.CommitFailed"


@pytest.mark.parametrize(
    ("path", "route", "error"),
    [
        ("/commit/7", "/commit/{item_id}", FAILED),
        ("/task/7", "/task/{item_id}", FAILED),
        ("/refusing-task", "/refusing-task", "RuntimeError"),
        ("/events", "/events", FAILED),
    ],
)
async def test_what_fails_after_the_response_marks_the_span_and_is_counted(path, route, error):
    service = Service()
    async with service.serving() as client:
        assert (await client.get(path)).status_code == 200
        span = await service.span()

    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == error
    assert span.attributes["http.response.status_code"] == 200
    assert "4111" not in span.to_json()
    labels = {
        "http_request_method": "GET",
        "http_route": route,
        "http_response_status_code": "200",
        "error_type": error,
    }
    assert service.counted("late_failures") == [(labels, 1)]
    assert service.measured() == [{**labels, "url_scheme": "http"}]


async def test_a_stream_that_breaks_off_marks_the_span_and_is_counted():
    service = Service()
    async with service.serving() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/stream")
        span = await service.span()

    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == FAILED
    assert [value for _, value in service.counted("late_failures")] == [1]


async def test_the_span_ends_with_the_response_and_not_with_what_runs_after_it():
    service = Service()

    @service.app.get("/long-task")
    async def long_task(tasks: BackgroundTasks) -> None:
        tasks.add_task(asyncio.sleep, 0.5)

    async with service.serving() as client:
        await client.get("/long-task")
        assert service.exporter.get_finished_spans() == ()
        span = await service.span()

    assert span.status.status_code is StatusCode.UNSET
    assert (span.end_time - span.start_time) / 1e9 < 0.4


async def test_a_request_that_goes_well_counts_nowhere():
    service = Service()
    async with service.serving() as client:
        await client.get("/fine/7")
        span = await service.span()

    assert span.status.status_code is StatusCode.UNSET
    assert "error.type" not in span.attributes
    for name in ("errors", "late_failures", "clients_left"):
        assert service.counted(name) == []


async def test_a_client_that_left_before_the_answer_is_not_a_200():
    service = Service()
    async with service.serving() as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/slow/7", json={"a": 1}, timeout=0.1)
        span = await service.span()

    assert span.attributes["http.response.status_code"] == 499
    assert span.attributes["error.type"] == "client_left"
    assert span.status.status_code is StatusCode.UNSET
    labels = {"http_request_method": "POST", "http_route": "/slow/{item_id}"}
    assert service.counted("clients_left") == [(labels, 1)]
    (measured,) = service.measured()
    assert (measured["http_response_status_code"], measured["error_type"]) == ("499", "client_left")


async def test_a_client_that_stayed_for_a_slow_answer_is_a_200():
    service = Service()
    async with service.serving() as client:
        assert (await client.post("/slow/7", json={"a": 1})).status_code == 200
        span = await service.span()

    assert span.attributes["http.response.status_code"] == 200
    assert service.counted("clients_left") == []


async def test_a_client_that_left_a_stream_is_told():
    service = Service()
    async with service.serving() as client:
        async with client.stream("GET", "/endless") as response:
            await anext(response.aiter_bytes())
        span = await service.span()

    assert span.attributes["http.response.status_code"] == 499
    assert span.status.status_code is StatusCode.UNSET
    assert [value for _, value in service.counted("clients_left")] == [1]


async def test_errors_are_counted_once_by_code_and_route():
    service = Service()
    async with service.serving() as client:
        for path in ("/refused", "/refused", "/fine/x", "/nowhere/1", "/nowhere/2"):
            await client.get(path)

    counted = {
        (labels["error_code"], labels.get("http_route"), labels["http_response_status_code"]): value
        for labels, value in service.counted("errors")
    }
    assert counted == {
        ("CONFLICT", "/refused", "409"): 2,
        ("VALIDATION_FAILED", "/fine/{item_id}", "422"): 1,
        ("NOT_FOUND", None, "404"): 2,
    }


async def test_codes_that_no_problem_has_are_one_series():
    service = Service()

    @service.app.get("/foreign")
    async def foreign() -> JSONResponse:
        return JSONResponse({}, 418, headers={"X-Error-Code": "a secret: 4111 " * 9})

    async with service.serving() as client:
        await client.get("/foreign")

    (labels, _) = service.counted("errors")[0]
    assert labels["error_code"] == "unknown"


async def test_the_span_has_the_request_id_of_the_caller():
    service = Service()
    async with service.serving() as client:
        await client.get("/fine/7", headers={"X-Request-ID": "id-1"})
        span = await service.span()

    assert span.attributes["roadworthy.request_id"] == "id-1"


async def test_a_new_request_id_is_the_id_of_the_trace_that_begins_with_it():
    service = Service()
    async with service.serving() as client:
        response = await client.get("/fine/7")
        span = await service.span()

    assert response.headers["X-Request-ID"] == f"{span.context.trace_id:032x}"


async def test_the_trace_of_a_caller_goes_on_and_each_of_its_requests_has_an_id_of_its_own():
    service = Service()
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with service.serving() as client:
        ids = {
            (await client.get("/fine/7", headers={"traceparent": parent})).headers["X-Request-ID"]
            for _ in range(2)
        }

    spans = service.exporter.get_finished_spans()
    assert {f"{span.context.trace_id:032x}" for span in spans} == {parent.split("-")[1]}
    assert {f"{span.parent.span_id:016x}" for span in spans} == {parent.split("-")[2]}
    assert len(ids) == 2
    assert parent.split("-")[1] not in ids


async def test_a_span_that_is_held_at_the_end_is_told():
    service = Service()

    @service.app.get("/long-task")
    async def long_task(tasks: BackgroundTasks) -> None:
        tasks.add_task(asyncio.sleep, 0.3)

    async with service.serving() as client:
        await client.get("/long-task")
        service.telemetry.options()["tracer_provider"].shutdown()
        assert len(service.exporter.get_finished_spans()) == 1

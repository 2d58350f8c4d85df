"""Each crash and each failed background task is told once, as it was raised, to who listens."""

import logging
from typing import Any

import pytest
import sentry_sdk
from fastapi import BackgroundTasks, FastAPI, HTTPException
from fastapi.testclient import TestClient
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sentry_sdk.transport import Transport

from roadworthy import problems
from support.asgi import ask


class Boom(Exception):
    pass


async def fail(kind: type[Exception] = Boom) -> None:
    raise HTTPException(409) if kind is HTTPException else kind("boom")


def part() -> FastAPI:
    app = FastAPI()

    @app.get("/crash")
    async def crash() -> None:
        raise Boom

    @app.get("/task")
    async def task(tasks: BackgroundTasks) -> str:
        tasks.add_task(fail)
        return "done"

    @app.get("/late")
    async def late(tasks: BackgroundTasks) -> str:
        tasks.add_task(fail, HTTPException)
        return "done"

    @app.get("/refused")
    async def refused() -> None:
        raise HTTPException(409)

    return app


def service(**options: Any) -> FastAPI:
    app = part()

    @app.middleware("http")
    async def pass_on(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    app.mount("/mounted", part())
    problems.install(app, **options)
    return app


PATHS = ["/crash", "/task", "/mounted/crash", "/mounted/task"]


@pytest.mark.parametrize("path", PATHS)
def test_the_log_and_the_observer_hear_of_it_once(path, caplog):
    heard: list[BaseException] = []
    app = service(on_failure=heard.append)

    with TestClient(app, raise_server_exceptions=False) as client:
        client.get(path)

    own = [record for record in caplog.records if record.name == "roadworthy.problems"]
    logged = [record.exc_info[1] for record in own]  # type: ignore[index]
    assert [type(error) for error in heard] == [Boom]
    assert logged == heard


@pytest.mark.parametrize("path", ["/late", "/mounted/late"])
def test_a_refusal_that_comes_too_late_is_told_as_it_was_raised(path):
    heard: list[BaseException] = []
    app = service(on_failure=heard.append)

    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get(path).status_code == 200

    assert [type(error) for error in heard] == [HTTPException]


def test_a_refusal_is_no_crash():
    heard: list[BaseException] = []
    app = service(on_failure=heard.append)

    with TestClient(app) as client:
        client.get("/refused")
        client.get("/none")

    assert heard == []


def test_an_observer_that_fails_changes_nothing(caplog):
    def fails(error: BaseException) -> None:
        raise KeyError

    with TestClient(service(on_failure=fails), raise_server_exceptions=False) as client:
        assert client.get("/crash").json()["error"]["code"] == "INTERNAL_ERROR"
    assert "an observer failed" in caplog.text


class InMemory(Transport):
    def __init__(self) -> None:
        super().__init__()
        self.events: list[Any] = []

    def capture_envelope(self, envelope: Any) -> None:
        if event := envelope.get_event():
            self.events.append(event)


@pytest.mark.parametrize("listens", ["on_failure", "the logger", "both"])
@pytest.mark.parametrize("path", PATHS)
def test_sentry_has_one_event_with_the_exception(listens, path):
    from sentry_sdk.integrations.logging import LoggingIntegration

    transport = InMemory()
    logs = LoggingIntegration(event_level=None if listens == "on_failure" else logging.ERROR)
    sentry_sdk.init(
        dsn="http://key@127.0.0.1:9/1",
        transport=transport,
        default_integrations=True,
        auto_enabling_integrations=False,
        integrations=[logs],
    )
    try:
        tell = None if listens == "the logger" else sentry_sdk.capture_exception
        with TestClient(service(on_failure=tell), raise_server_exceptions=False) as client:
            client.get(path)
        sentry_sdk.flush()
    finally:
        sentry_sdk.get_global_scope().set_client(None)

    kinds = [event["exception"]["values"][-1]["type"] for event in transport.events]
    assert kinds == ["Boom"]


async def test_opentelemetry_has_the_exception_on_the_span(monkeypatch: pytest.MonkeyPatch):
    """On whichever is current: FastAPI starts one of its own where a provider was set"""
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)

    def note(error: BaseException) -> None:
        trace.get_current_span().record_exception(error)

    app = service(on_failure=note)

    async def receive() -> Any:
        return {"type": "http.request"}

    with provider.get_tracer("test").start_as_current_span("request"):
        sent = await ask(app, "GET", "/crash", receive=receive)

    assert sent.status == 500
    events = [event for span in spans.get_finished_spans() for event in span.events]
    assert [event.attributes["exception.type"].rpartition(".")[2] for event in events] == ["Boom"]

"""The ids of request, job and trace are in every line, whoever writes it."""

import asyncio
import io
import json
import logging
import logging.config
from datetime import timedelta

import httpx
import pytest
import structlog
from fastapi import FastAPI
from opentelemetry.sdk.metrics import MeterProvider

from jobs.opened import database
from roadworthy import problems
from roadworthy.jobs import Jobs, task
from roadworthy.observability import RequestLog, Telemetry, add_ids, log_config
from support.polling import until_async as until

log = logging.getLogger("shop.orders")


@pytest.fixture
def lines(monkeypatch):
    """Configure logging for the time of a test; what is returned reads the lines."""
    root = logging.getLogger()
    before = root.handlers[:], root.level

    def configure(style="json", **options):
        stream = io.StringIO()
        config = log_config(style, **options)
        config["handlers"]["stderr"]["stream"] = stream
        logging.config.dictConfig(config)
        return lambda: stream.getvalue().splitlines()

    yield configure
    root.handlers[:], root.level = before
    for name in ("uvicorn", "shop"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def app_with(observe=None, *, tracing=False):
    telemetry = Telemetry(meter_provider=MeterProvider(), tracing=tracing)
    app = FastAPI(telemetry=telemetry.options())

    @app.get("/items/{item_id}")
    async def item(item_id: str) -> str:
        log.info("read", extra={"item_id": item_id, "password": "hunter2"})
        return item_id

    @app.get("/thread")
    def thread() -> None:
        log.info("in a thread")

    @app.get("/crash")
    async def crash() -> None:
        raise ValueError("first\nsecond")

    problems.install(app, observe=observe)
    return app


async def get(app, path, **headers):
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get(path, headers={"X-Request-ID": "id-1", **headers})


@pytest.mark.parametrize("path", ["/items/7", "/thread", "/crash"])
async def test_each_line_is_json_with_the_request_id(lines, path):
    read = lines()

    await get(app_with(), path)

    ours = [json.loads(line) for line in read() if '"httpx"' not in line]
    assert ours
    assert {line["request_id"] for line in ours} == {"id-1"}


async def test_a_line_has_what_was_said_and_no_secret(lines):
    read = lines(redact=("item_id",))

    await get(app_with(), "/items/7")

    (line,) = [json.loads(line) for line in read() if "shop.orders" in line]
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "INFO",
        "logger": "shop.orders",
        "message": "read",
        "request_id": "id-1",
        "item_id": "REDACTED",
        "password": "REDACTED",
    }


async def test_an_exception_is_a_field_of_its_line(lines):
    read = lines()

    await get(app_with(), "/crash")

    (line,) = [json.loads(line) for line in read() if "crash failed" in line]
    assert line["message"] == "GET /crash failed"
    assert line["exception"].endswith("ValueError: first\nsecond")


async def test_the_trace_of_the_caller_is_in_each_line(lines):
    read = lines()
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    await get(app_with(tracing=True), "/items/7", traceparent=parent)

    (line,) = [json.loads(line) for line in read() if "shop.orders" in line]
    assert (line["request_id"], line["trace_id"]) == ("id-1", parent.split("-")[1])
    assert len(line["span_id"]) == 16


def test_outside_of_a_request_there_is_a_dash(lines):
    read = lines()

    log.warning("starting")

    assert json.loads(read()[-1])["request_id"] == "-"


@task(name="noted")
async def noted() -> None:
    log.info("at work")


async def test_a_line_of_a_job_has_its_id_and_that_of_the_request(lines, tmp_path):
    read = lines()
    async with database(f"sqlite:///{tmp_path / 'test.db'}") as db, Jobs(db, tasks=[noted]):
        app = FastAPI()

        @app.get("/enqueue")
        async def enqueue() -> str:
            async with db.begin() as tx:
                return str(await noted.enqueue(tx))

        problems.install(app)
        await get(app, "/enqueue")
        await until(lambda: any("at work" in line for line in read()))

    (line,) = [json.loads(line) for line in read() if "at work" in line]
    assert line["request_id"] == "id-1"
    assert len(line["job_id"]) > 8


def test_what_is_no_json_is_still_a_line(lines):
    read = lines()
    circle = []
    circle.append(circle)

    log.info("odd", extra={"number": float("nan"), "circle": circle, "when": timedelta(1)})

    assert json.loads(read()[-1])["number"] == "nan"


def test_a_field_does_not_replace_what_the_line_says(lines):
    read = lines()

    log.info("odd", extra={"level": "NONE", "request_id": "mine"})

    line = json.loads(read()[-1])
    assert (line["level"], line["extra.level"], line["request_id"]) == ("INFO", "NONE", "mine")


async def test_people_read_the_ids_in_brackets(lines):
    read = lines("console")

    await get(app_with(), "/items/7")

    (line,) = [line for line in read() if "shop.orders" in line]
    assert line.endswith("INFO    shop.orders [id-1] read")


def test_a_message_for_people_cannot_look_like_another_line(lines):
    read = lines("console")

    log.info("name: %s", "eve\n2026 ERROR forged\x1b[31m")

    assert read()[-1].endswith(r"name: eve\n2026 ERROR forged\x1b[31m")


def test_levels_are_chosen_for_all_and_for_one(lines):
    read = lines(level="WARNING", levels={"shop": "DEBUG"})

    log.debug("ours")
    logging.getLogger("other").info("theirs")

    assert ["ours" in line for line in read()] == [True]


async def test_requests_are_logged_with_standard_logging_too(lines):
    read = lines()

    await get(app_with(RequestLog(log=logging.getLogger("shop.requests"))), "/items/7?token=t")

    (line,) = [json.loads(line) for line in read() if "shop.requests" in line]
    assert (line["method"], line["route"], line["status"]) == ("GET", "/items/{item_id}", 200)
    assert line["request_id"] == "id-1"
    assert "token" not in json.dumps(line)


async def test_requests_are_logged_with_structlog_too():
    with structlog.testing.capture_logs(processors=[add_ids]) as events:
        await get(app_with(RequestLog(log=structlog.get_logger())), "/items/7")

    (event,) = events
    assert event.pop("milliseconds") >= 0
    assert event == {
        "event": "request",
        "log_level": "info",
        "method": "GET",
        "route": "/items/{item_id}",
        "status": 200,
        "request_id": "id-1",
    }


async def test_structlog_has_the_ids_in_every_event():
    app = FastAPI()

    @app.get("/")
    async def root() -> None:
        structlog.get_logger().info("read")

    problems.install(app)
    with structlog.testing.capture_logs(processors=[add_ids]) as events:
        await get(app, "/")

    assert [event["request_id"] for event in events] == ["id-1"]


async def test_the_request_log_has_the_trace_where_there_is_one():
    stream = io.StringIO()

    await get(app_with(RequestLog(stream=stream), tracing=True), "/items/7")
    await asyncio.sleep(0)

    assert len(json.loads(stream.getvalue())["trace_id"]) == 32

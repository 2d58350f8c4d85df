"""Failures are seen: metrics, spans, log lines, and the hooks for Sentry or a webhook."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from jobs.opened import database, rows, running, state_of
from roadworthy import problems
from roadworthy.database import Database, Tx
from roadworthy.jobs import Backoff, FailedAttempt, GiveUp, Job, TryAgain, task
from roadworthy.lifespan import lifespan
from support.polling import until_async as until
from support.postgres import database_on

TESTS = Path(__file__).parent.parent
SOON = Backoff(first=timedelta(milliseconds=1))
TRACE = SpanContext(0xABCDEF, 0x123, is_remote=False, trace_flags=TraceFlags(1))


class MailServerAway(Exception):
    """What a task fails with."""


@task(name="flaky", attempts=3, backoff=SOON)
async def flaky(job: Job, order_id: str) -> None:
    if job.attempt < 3:
        raise MailServerAway("hunter2")


@task(name="hopeless")
async def hopeless(order_id: str) -> None:
    raise GiveUp("no such order")


@task(name="late", attempts=2)
async def late(job: Job) -> None:
    if job.attempt == 1:
        raise TryAgain("not yet", delay=timedelta(milliseconds=1))


@pytest.fixture(scope="module")
def postgres_url(postgres_server: str) -> Iterator[str]:
    """One database for all tests of this file: making one takes longer than a test."""
    with database_on(postgres_server) as url:
        yield url


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What OpenTelemetry heard of some jobs, in a process of their own."""
    url = f"sqlite:///{tmp_path_factory.mktemp('told') / 'test.db'}"
    path = [str(TESTS), os.environ.get("PYTHONPATH")]
    done = subprocess.run(
        [sys.executable, "-m", "jobs.told", url],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class TestMetrics:
    @pytest.mark.parametrize(
        ("metric", "task_name", "count"),
        [
            ("enqueued", "fine", 1),
            ("enqueued", "flaky", 1),
            ("started", "fine", 1),
            ("started", "flaky", 3),
            ("retried", "flaky", 2),
            ("succeeded", "fine", 1),
            ("succeeded", "with_tx", 1),
            ("succeeded", "flaky", 1),
            ("dead", "hopeless", 1),
        ],
    )
    def test_jobs_and_attempts_are_counted_by_task_and_queue(self, told, metric, task_name, count):
        found = points(told, metric, task=task_name, queue="default")

        assert [(point["value"], point["unit"]) for point in found] == [(count, "{job}")]

    def test_an_attempt_counts_as_what_it_ended_as(self, told):
        ended = {name for name in told["metrics"] if name.split(".")[-1] in ENDS}

        assert ended == {f"roadworthy.jobs.{name}" for name in ("succeeded", "retried", "dead")}

    def test_each_attempt_has_a_duration_with_its_outcome(self, told):
        (succeeded,) = points(told, "duration", task="flaky", outcome="succeeded")
        (retried,) = points(told, "duration", task="flaky", outcome="retried")

        assert (succeeded["count"], retried["count"], succeeded["unit"]) == (1, 2, "s")
        assert 0 < succeeded["sum"] < 60

    def test_the_wait_is_counted_from_when_a_job_was_due(self, told):
        (waited,) = points(told, "wait", task="fine")
        (at_once,) = points(told, "wait", task="with_tx")

        assert (waited["count"], waited["unit"]) == (1, "s")
        assert 3600 <= waited["sum"] < 3660
        assert at_once["sum"] < 60

    def test_what_waits_in_a_queue_is_told_with_its_age(self, told):
        (depth,) = points(told, "depth", queue="elsewhere")
        (age,) = points(told, "age", queue="elsewhere")

        assert (depth["value"], depth["unit"]) == (2, "{job}")
        assert (3600 <= age["value"] < 3660, age["unit"]) == (True, "s")

    def test_a_label_is_never_a_value_that_grows_without_end(self, told):
        labels = {
            label
            for name, metric in told["metrics"].items()
            for point in metric
            if name.startswith("roadworthy.jobs.")
            for label in point["labels"]
        }

        assert labels == {"task", "queue", "outcome"}


class TestSpans:
    @pytest.mark.parametrize("name", ["with_tx", "flaky", "hopeless"])
    def test_a_job_is_in_the_trace_of_the_request_that_enqueued_it(self, told, name):
        (request,) = spans(told, f"request {name}")
        attempts = spans(told, f"job {name}")

        assert {trace_of(span) for span in [request, *attempts]} == {told["traces"][name]}
        assert {span["parent_id"] for span in attempts} == {request["context"]["span_id"]}

    def test_every_attempt_is_a_span_of_its_own(self, told):
        attempts = spans(told, "job flaky")

        assert [span["attributes"]["job.attempt"] for span in attempts] == [1, 2, 3]
        assert {span["attributes"]["job.id"] for span in attempts} == {
            attempts[0]["attributes"]["job.id"]
        }
        assert {span["kind"] for span in attempts} == {"SpanKind.CONSUMER"}

    def test_one_that_failed_is_marked_with_its_code(self, told):
        first, _, last = spans(told, "job flaky")
        (dead,) = spans(told, "job hopeless")

        assert first["status"] == {
            "status_code": "ERROR",
            "description": "CONNECTION_RESET_ERROR",
        }
        assert first["attributes"]["error.type"] == "CONNECTION_RESET_ERROR"
        assert dead["status"] == {"status_code": "ERROR", "description": "GAVE_UP"}
        assert last["status"]["status_code"] == "UNSET"

    def test_no_span_carries_the_text_of_an_exception(self, told):
        assert "hunter2" not in json.dumps(told["spans"])
        assert all(span["events"] == [] for span in told["spans"])

    def test_a_job_that_nobody_requested_begins_a_trace(self, told):
        (span,) = spans(told, "job fine")

        assert span["parent_id"] is None


class TestLog:
    async def test_every_failed_attempt_is_a_line_that_can_be_found(self, database_url, caplog):
        async with database(database_url) as db, running(db, flaky):
            with trace.use_span(NonRecordingSpan(TRACE)):
                id_ = await enqueue(db, flaky.call("order-1"))
            await until(lambda: is_in(db, id_, "succeeded"))

        first, second = caplog.records
        assert fields_of(first) == {
            "task": "flaky",
            "job_id": id_,
            "attempt": 1,
            "request_id": "-",
            "trace_id": trace.format_trace_id(0xABCDEF),
            "error_code": "MAIL_SERVER_AWAY",
        }
        assert fields_of(second) == {**fields_of(first), "attempt": 2}
        assert {record.levelno for record in caplog.records} == {logging.WARNING}
        assert "flaky failed in attempt 1 of 3: MAIL_SERVER_AWAY; again in" in first.getMessage()
        assert "hunter2" not in first.getMessage()
        assert isinstance(first.exc_info[1], MailServerAway)

    async def test_a_death_is_an_error_that_says_how_to_look_at_it(self, database_url, caplog):
        async with database(database_url) as db, running(db, hopeless):
            id_ = await enqueue(db, hopeless.call("order-1"))
            await until(lambda: is_in(db, id_, "dead"))

        (record,) = caplog.records
        assert (record.levelno, record.error_code) == (logging.ERROR, "GAVE_UP")
        assert record.getMessage() == (
            f"hopeless is dead after attempt 1 of 5: GAVE_UP; see `roadworthy jobs show {id_}`"
        )
        assert isinstance(record.exc_info[1], GiveUp)

    async def test_a_success_is_no_line(self, sqlite_url, caplog):
        @task(name="fine")
        async def fine() -> None: ...

        async with database(sqlite_url) as db, running(db, fine):
            id_ = await enqueue(db, fine.call())
            await until(lambda: is_in(db, id_, "succeeded"))

        assert caplog.records == []

    async def test_the_request_id_is_that_of_the_request(self, database_url, caplog):
        async with database(database_url):
            db = Database(database_url)
        app = FastAPI(lifespan=lifespan(db, running(db, hopeless)))
        problems.install(app)

        @app.post("/orders")
        async def place(tx: Tx) -> None:
            await hopeless.enqueue(tx, order_id="order-1")

        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://test") as client,
        ):
            await client.post("/orders", headers={"X-Request-ID": "request-1"})
            (line,) = await until(lambda: dead_lines(caplog))

        assert line.request_id == "request-1"

    async def test_a_task_knows_the_request_that_wanted_it(self, sqlite_url):
        known = []

        @task(name="curious")
        async def curious(job: Job) -> None:
            known.append((job.request_id, problems.request_id()))

        async with database(sqlite_url) as db, running(db, curious):
            token = problems.request_ids.current.set("request-1")
            id_ = await enqueue(db, curious.call())
            problems.request_ids.current.reset(token)
            await until(lambda: is_in(db, id_, "succeeded"))
            (row,) = await rows(db)

        assert known == [("request-1", "request-1")]
        assert row.request_id == "request-1"


class TestHooks:
    @pytest.mark.parametrize("kind", ["def", "async def"])
    async def test_on_failure_hears_of_every_attempt_and_on_dead_of_the_last(
        self, database_url, kind
    ):
        failures, deaths = [], []

        @task(name="down", attempts=2, backoff=SOON)
        async def down(order_id: str) -> None:
            raise MailServerAway("hunter2")

        hooks = {
            "def": {"on_failure": failures.append, "on_dead": deaths.append},
            "async def": {"on_failure": as_coroutine(failures), "on_dead": as_coroutine(deaths)},
        }
        async with database(database_url) as db, running(db, down, **hooks[kind]):
            id_ = await enqueue(db, down.call("order-1"))
            await until(lambda: deaths)

        first, last = failures
        assert [last] == deaths
        assert (first.attempt, last.attempt, last.again_in) == (1, 2, None)
        assert timedelta(0) < first.again_in <= timedelta(milliseconds=1)
        assert first == FailedAttempt(
            id=id_,
            task="down",
            attempt=1,
            attempts=2,
            arguments='{"order_id":"order-1"}',
            request_id=None,
            error_code="MAIL_SERVER_AWAY",
            error=first.error,
            again_in=first.again_in,
        )
        assert isinstance(first.error, MailServerAway)

    async def test_a_hook_hears_of_a_job_once_its_outcome_is_recorded(self, database_url):
        recorded = []

        async def look(failed: FailedAttempt) -> None:
            recorded.append(await state_of(db, failed.id))

        async with database(database_url) as db, running(db, hopeless, late, on_failure=look):
            await enqueue(db, hopeless.call("order-1"))
            await until(lambda: recorded == ["dead"])
            id_ = await enqueue(db, late.call())
            await until(lambda: is_in(db, id_, "succeeded"))

        assert recorded[0] == "dead"
        assert len(recorded) == 2
        assert recorded[1] != "running"

    @pytest.mark.parametrize("kind", ["def", "async def"])
    async def test_a_hook_that_fails_is_logged_and_harms_nobody(self, database_url, caplog, kind):
        def broken(failed: FailedAttempt) -> None:
            raise RuntimeError("the webhook is away")

        async def broken_too(failed: FailedAttempt) -> None:
            broken(failed)

        hook = {"def": broken, "async def": broken_too}[kind]
        async with (
            database(database_url) as db,
            running(db, flaky, hopeless, on_failure=hook, on_dead=hook),
        ):
            good = await enqueue(db, flaky.call("order-1"))
            bad = await enqueue(db, hopeless.call("order-2"))
            await until(lambda: is_in(db, good, "succeeded"))
            await until(lambda: is_in(db, bad, "dead"))

        told_of = [it for it in caplog.records if it.getMessage().startswith("on_failure or")]
        assert len(told_of) == 2 + 2
        assert {type(record.exc_info[1]) for record in told_of} == {RuntimeError}


ENDS = {"succeeded", "completed", "retried", "dead", "cancelled", "parked", "released", "lost"}


def points(told, metric, **labels):
    """Return the points of a metric that have these labels."""
    found = told["metrics"][f"roadworthy.jobs.{metric}"]
    return [point for point in found if labels.items() <= point["labels"].items()]


def spans(told, name):
    found = [span for span in told["spans"] if span["name"] == name]
    return sorted(found, key=lambda span: span["start_time"])


def trace_of(span):
    return span["context"]["trace_id"].removeprefix("0x")


def fields_of(record):
    names = ("task", "job_id", "attempt", "request_id", "trace_id", "error_code")
    return {name: getattr(record, name) for name in names}


def dead_lines(caplog):
    return [record for record in caplog.records if getattr(record, "error_code", "") == "GAVE_UP"]


def as_coroutine(heard):
    async def hook(failed: FailedAttempt) -> None:
        heard.append(failed)

    return hook


async def enqueue(db, call):
    async with db.begin() as tx:
        return (await call.task.enqueue(tx, **json.loads(call.arguments))).id


async def is_in(db, id_, state):
    return await state_of(db, id_) == state

"""Nothing that one task does, raises or returns harms another, or its worker."""

import asyncio
import concurrent.futures
import functools
import logging
import time
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from jobs.opened import database, rows, running
from roadworthy._internal.calendar import FIRST, LAST
from roadworthy.database import Database
from roadworthy.jobs import Backoff, Embedded, Every, GiveUp, Jobs, Task, TryAgain, task
from roadworthy.jobs.processes.pool import report
from roadworthy.jobs.table import ledger
from roadworthy.testing import Worker
from support.polling import until_async as until

FOREVER = timedelta.max
BACK = timedelta.min
EAST, WEST = timezone(timedelta(hours=14)), timezone(-timedelta(hours=12))


@task(name="noop")
async def noop() -> None: ...


async def outcome(url: str, declared: Task[...], *others: Task[...], **arguments: object):
    """Run one job of a task inline, and return its row."""
    async with database(url) as db:
        async with db.begin() as tx:
            await declared.enqueue(tx, **arguments)
        await Worker(Jobs(db, tasks=[declared, *others], run=False)).run_one()
        return (await rows(db))[0]


class TestTimes:
    """Sums of a time and a duration that users choose."""

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({"delay": FOREVER}, LAST),
            ({"delay": FOREVER, "priority": -1440}, LAST),
            ({"delay": BACK}, FIRST),
            ({"delay": BACK, "priority": 1440}, FIRST),
            ({"run_at": datetime.max.replace(tzinfo=UTC), "priority": -1440}, LAST),
            ({"run_at": datetime.max.replace(tzinfo=WEST)}, LAST),
            ({"run_at": datetime.max.replace(tzinfo=EAST)}, LAST),
            ({"run_at": datetime.min.replace(tzinfo=EAST), "priority": 1440}, FIRST),
            ({"run_at": datetime.min.replace(tzinfo=WEST)}, FIRST),
        ],
    )
    async def test_a_job_waits_until_the_end_of_the_calendar(self, database_url, options, expected):
        async with database(database_url) as db:
            async with db.begin() as tx:
                await noop.options(**options).enqueue(tx)
            (row,) = await rows(db)

        assert row.run_at.replace(tzinfo=UTC) == expected
        assert row.state == ("scheduled" if expected == LAST else "queued")

    @pytest.mark.parametrize(
        ("delay", "state"),
        [(FOREVER, "scheduled"), (timedelta(days=3_000_000), "scheduled"), (BACK, "scheduled")],
    )
    async def test_an_attempt_that_asks_for_such_a_delay_is_recorded(
        self, database_url, delay, state
    ):
        @task(name="call", priority=-1440)
        async def call() -> None:
            raise TryAgain("busy", delay=delay)

        row = await outcome(database_url, call)

        assert (row.state, row.error_code) == (state, "TRY_AGAIN")
        assert (row.run_at.year > 9000) == (delay > BACK)

    async def test_a_place_is_free_again_at_once(self, database_url):
        @task(name="call")
        async def call() -> None:
            raise TryAgain("busy", delay=FOREVER)

        async with database(database_url) as db:
            engine = Embedded(concurrency=1, processes=1)
            async with Jobs(db, tasks=[call, noop], engine=engine):
                async with db.begin() as tx:
                    await call.enqueue(tx)
                    await noop.enqueue(tx)
                await until(lambda: _states(db, "scheduled", "succeeded"))

    async def test_a_back_off_may_be_as_long_as_python_has(self, database_url):
        @task(name="call", backoff=Backoff(first=FOREVER, most=FOREVER))
        async def call() -> None:
            raise OSError

        assert (await outcome(database_url, call)).run_at.year > 9000

    @pytest.mark.parametrize(
        ("first", "factor"), [(timedelta(0), 3), (timedelta(seconds=1), 1e300), (FOREVER, 1)]
    )
    def test_a_back_off_is_never_longer_than_a_duration(self, first, factor):
        backoff = Backoff(first=first, factor=factor, most=FOREVER)

        assert all(timedelta(0) <= backoff.after(n) <= FOREVER for n in (1, 2, 5, 1000))

    async def test_jobs_may_be_kept_for_ever(self, database_url):
        async with (
            database(database_url) as db,
            Jobs(db, tasks=[noop], keep=FOREVER, keep_dead=FOREVER),
        ):
            async with db.begin() as tx:
                await noop.enqueue(tx)
            await until(lambda: _states(db, "succeeded"))

    async def test_a_lease_may_last_for_ever(self, database_url):
        async with (
            database(database_url) as db,
            Jobs(db, tasks=[noop], engine=Embedded(processes=1, lease=FOREVER)),
        ):
            async with db.begin() as tx:
                await noop.enqueue(tx)
            await until(lambda: _states(db, "succeeded"))

    @pytest.mark.parametrize("days", [365_000, 1_000_000, 3_000_000, 999_999_999])
    def test_an_interval_of_millennia_ends_with_the_calendar(self, days):
        every = Every(timedelta(days=days))

        assert datetime.now(UTC) < every.after(datetime.now(UTC)) <= LAST

    @pytest.mark.parametrize(
        ("make", "name"),
        [
            (lambda: Embedded(lease=15), "lease"),
            (lambda: Embedded(grace=10), "grace"),
            (lambda: Embedded(poll=0.5), "poll"),
            (lambda: Backoff(first=2), "first"),
            (lambda: Backoff(most="1 h"), "most"),
            (lambda: Backoff(factor="3"), "factor"),
            (lambda: Backoff(factor=float("nan")), "factor"),
            (lambda: Every(60), "interval"),
            (lambda: TryAgain("busy", delay=5), "delay"),
            (lambda: noop.options(delay=5), "delay"),
            (lambda: noop.options(run_at="2027-01-01"), "run_at"),
            (lambda: noop.options(run_at=date(2027, 1, 1)), "run_at"),
            (lambda: noop.options(run_at=datetime(2027, 1, 1)), "run_at"),  # noqa: DTZ001 - no zone
            (lambda: noop.options(priority="high"), "priority"),
            (lambda: noop.options(priority=1.5), "priority"),
            (lambda: noop.options(queue=5), "queue"),
            (lambda: noop.options(unique_key=5), "unique_key"),
            (lambda: Jobs(Database("sqlite://"), tasks=[], keep=7), "keep"),
            (lambda: Jobs(Database("sqlite://"), tasks=[], keep_dead=timedelta(-1)), "keep_dead"),
            (lambda: task(name="t", timeout=5)(_nothing), "timeout"),
            (lambda: task(name="t", version=2**31)(_nothing), "version"),
            (lambda: task(name="a\0b")(_nothing), "name"),
        ],
    )
    def test_what_is_no_time_is_refused_where_it_is_written(self, make, name):
        with pytest.raises((TypeError, ValueError), match=name):
            make()


async def _nothing() -> None: ...


async def _states(db, *wanted):
    return sorted(row.state for row in await rows(db)) == sorted(wanted)


class NoText(Exception):
    def __str__(self):
        return self.args[0]  # no text


class RaisesText(Exception):
    def __str__(self):
        raise RuntimeError("broken, too")


class PanicsText(Exception):
    def __str__(self):
        raise Panic("in __str__")


class EndlessText(Exception):
    def __str__(self):
        time.sleep(600)
        return ""


class Panic(BaseException): ...


class CannotPickle(Exception):
    def __init__(self) -> None:
        super().__init__("a lock")
        self.call = lambda: None


class PanicsWhenPickled(Exception):
    def __reduce__(self):
        raise Panic("in __reduce__")


class NeedsMore(Exception):
    def __init__(self, *, number: int) -> None:
        super().__init__(f"number {number}")


def _caused_by(error):
    given_up = GiveUp("for good")
    given_up.__cause__ = error
    return given_up


RAISED = {
    "no text": (lambda: NoText(402), "NO_TEXT"),
    "raises": (RaisesText, "RAISES_TEXT"),
    "panics": (PanicsText, "PANICS_TEXT"),
    "endless": (EndlessText, "ENDLESS_TEXT"),
    "a panic": (lambda: Panic("broken"), "PANIC"),
    "a group": (lambda: BaseExceptionGroup("two", [Panic(), NoText(1)]), "BASE_EXCEPTION_GROUP"),
    "sys.exit": (lambda: SystemExit(3), "SYSTEM_EXIT"),
    "interrupt": (KeyboardInterrupt, "KEYBOARD_INTERRUPT"),
    "generator exit": (GeneratorExit, "GENERATOR_EXIT"),
    "cancelled": (asyncio.CancelledError, "CANCELLED_ERROR"),
    "a future's": (concurrent.futures.CancelledError, "CANCELLED_ERROR"),
    "stop": (StopAsyncIteration, "STOP_ASYNC_ITERATION"),
    "given up": (lambda: _caused_by(RaisesText()), "GAVE_UP"),
    "given up, endless": (lambda: _caused_by(EndlessText()), "GAVE_UP"),
    "text of megabytes": (lambda: ValueError("x" * 5_000_000), "VALUE_ERROR"),
    "characters": (lambda: ValueError("a\0b"), "VALUE_ERROR"),
    "an argument": (lambda: ValueError(NoText(1)), "VALUE_ERROR"),
}


@task(name="raise_on_loop", attempts=1)
async def raise_on_loop(kind: str) -> None:
    error = RAISED[kind][0]()
    raise error


@task(name="raise_on_thread", attempts=1)
def raise_on_thread(kind: str) -> None:
    error = RAISED[kind][0]()
    raise error


@task(name="raise_in_process", attempts=1, runs_on="cpu")
def raise_in_process(kind: str) -> None:
    error = {"unpicklable": CannotPickle, "panics": PanicsWhenPickled, **_there()}[kind]()
    raise error


def _there():
    return {
        "needs more": lambda: NeedsMore(number=7),
        "no text": lambda: NoText(402),
        "a panic": lambda: Panic("broken"),
        "endless": EndlessText,
        "sys.exit": lambda: SystemExit(3),
    }


@task(name="raise_later", attempts=2, backoff=Backoff(first=timedelta(0)))
async def raise_later() -> None:
    raise Panic


class TestExceptions:
    @pytest.mark.sampled
    @pytest.mark.parametrize("kind", RAISED)
    @pytest.mark.parametrize("declared", [raise_on_loop, raise_on_thread], ids=["loop", "thread"])
    async def test_whatever_is_raised_is_a_failed_attempt(self, declared, kind):
        row = await outcome("sqlite://", declared, kind=kind)

        assert (row.state, row.error_code) == ("dead", RAISED[kind][1])
        assert row.error

    @pytest.mark.parametrize(
        ("kind", "code"),
        [
            ("unpicklable", "CANNOT_PICKLE"),
            ("panics", "PANICS_WHEN_PICKLED"),
            ("needs more", "NEEDS_MORE"),
            ("no text", "NO_TEXT"),
            ("a panic", "PANIC"),
            ("endless", "ENDLESS_TEXT"),
            ("sys.exit", "SYSTEM_EXIT"),
        ],
    )
    async def test_what_cannot_leave_its_process_keeps_its_name(self, kind, code):
        row = await outcome("sqlite://", raise_in_process, kind=kind)

        assert (row.state, row.error_code) == ("dead", code)

    async def test_an_engine_records_it_at_once_and_calls_the_hooks(self, database_url):
        told = []

        def hook(failed):
            told.append(failed.error_code)
            raise Panic("the hook, too")

        async with (
            database(database_url) as db,
            running(db, raise_on_loop, raise_on_thread, on_failure=hook, on_dead=hook),
        ):
            async with db.begin() as tx:
                await raise_on_loop.enqueue(tx, "a panic")
                await raise_on_thread.enqueue(tx, "no text")
            await until(lambda: _states(db, "dead", "dead"))
            await until(lambda: len(told) == 4)

        assert sorted(told) == ["NO_TEXT", "NO_TEXT", "PANIC", "PANIC"]

    async def test_it_backs_off_as_any_failure_does(self, database_url):
        row = await outcome(database_url, raise_later)

        assert (row.state, row.attempts, row.error_code) == ("scheduled", 1, "PANIC")

    async def test_the_loop_goes_on_while_a_text_does_not_come(self):
        @task(name="busy", attempts=1)
        async def busy() -> None:
            raise EndlessText

        longest = 0.0

        async def watch():
            nonlocal longest
            while True:
                before = time.monotonic()
                await asyncio.sleep(0.01)
                longest = max(longest, time.monotonic() - before)

        watching = asyncio.create_task(watch())
        await outcome("sqlite://", busy)
        watching.cancel()

        assert longest < 0.7

    async def test_a_handler_of_the_log_that_raises_is_no_reason_to_keep_a_lease(self):
        class Broken(logging.Filter):
            def filter(self, record):
                raise RuntimeError("the filter is broken")

        log, broken = logging.getLogger("roadworthy.jobs"), Broken()
        log.addFilter(broken)
        try:
            row = await outcome("sqlite://", raise_later)
        finally:
            log.removeFilter(broken)

        assert row.state == "scheduled"

    async def test_on_dead_that_panics_does_not_keep_a_job_from_being_dead(self, database_url):
        @task(name="hopeless", attempts=1)
        async def hopeless() -> None:
            raise GiveUp

        @hopeless.on_dead
        async def note() -> None:
            raise Panic

        assert (await outcome(database_url, hopeless)).state == "dead"

    async def test_a_back_off_of_the_applications_own_may_fail(self, database_url):
        class Own(Backoff):
            def after(self, attempt):
                raise Panic

        @task(name="own", backoff=Own())
        async def own() -> None:
            raise OSError

        row = await outcome(database_url, own)

        assert (row.state, row.error_code) == ("scheduled", "OS_ERROR")

    async def test_a_delay_that_was_put_there_later_may_be_no_time(self, database_url):
        @task(name="own")
        async def own() -> None:
            error = TryAgain("busy")
            error.delay = "5 minutes"
            raise error

        assert (await outcome(database_url, own)).state == "scheduled"

    @pytest.mark.parametrize("cancel", [True, False])
    async def test_real_cancellation_stays_cancellation(self, cancel):
        began = asyncio.Event()

        @task(name="waits", attempts=1)
        async def waits() -> None:
            began.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if cancel:
                    raise
                raise Panic from None

        async with database("sqlite://") as db:
            engine = Embedded(processes=1, grace=timedelta(0))
            async with Jobs(db, tasks=[waits], engine=engine):
                async with db.begin() as tx:
                    await waits.enqueue(tx)
                await began.wait()
            (row,) = await rows(db)

        assert (row.state, row.attempts) == ("queued", 0)

    async def test_a_process_may_tell_anything_of_its_progress(self, database_url):
        async with (
            database(database_url) as db,
            Jobs(db, tasks=[tells], engine=Embedded(processes=1)),
        ):
            async with db.begin() as tx:
                await tells.enqueue(tx)
            await until(lambda: _states(db, "succeeded"))


@task(name="tells", runs_on="cpu")
def tells() -> None:
    for _ in range(15):
        report(float("nan"), "x\0\ud800" * 400)
        time.sleep(0.1)


class TestRecording:
    async def test_what_is_refused_for_its_own_value_is_recorded_otherwise(
        self, database_url, monkeypatch, caplog
    ):
        monkeypatch.setattr(ledger, "_noted", _too_long_at_first())

        row = await outcome(database_url, raise_later)

        assert (row.state, row.error_code) == ("scheduled", "PANIC")
        assert "recorded without its text" in caplog.text

    async def test_what_is_the_databases_fault_is_tried_again(self, database_url):
        async with database(database_url) as db:
            async with db.begin() as tx:
                await raise_later.enqueue(tx)
            refused = []

            @event.listens_for(db.engine.sync_engine, "before_cursor_execute")
            def refuse(connection, cursor, statement, parameters, context, many):
                if "turn_at=" in statement and len(refused) < 2:  # the outcome
                    refused.append(statement)
                    raise OperationalError(statement, {}, OSError("away"))

            await Worker(Jobs(db, tasks=[raise_later], run=False)).run_one()
            (row,) = await rows(db)

        assert len(refused) == 2
        assert (row.state, row.error) == ("scheduled", "Panic: ")


def _too_long_at_first():
    calls = []

    def noted(failure):
        calls.append(failure)
        if len(calls) == 1:
            raise OverflowError("date value out of range")
        return {"error_code": failure.code, "error": failure.text}

    return noted


def through(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


async def _coroutine(to: str) -> None: ...


def _generator(to: str):
    yield to


async def _async_generator(to: str):
    yield to


def _returns_a_generator(to: str):
    return (to for _ in range(2))


def _returns_lazily(to: str):
    return map(print, [to])


def _returns_a_coroutine(to: str):
    return _coroutine(to)


class Awaitable:
    def __await__(self):
        yield


def _returns_an_awaitable(to: str):
    return Awaitable()


async def _awaits_half(to: str):
    return _coroutine(to)


async def _returns_a_task(to: str):
    return asyncio.ensure_future(_coroutine(to))


UNRUN = {
    "a wrapped coroutine": through(_coroutine),
    "a coroutine wrapped twice": through(through(_coroutine)),
    "a wrapped generator": through(_generator),
    "a wrapped async generator": through(through(_async_generator)),
    "a generator": _returns_a_generator,
    "a map": _returns_lazily,
    "a coroutine": _returns_a_coroutine,
    "an awaitable": _returns_an_awaitable,
    "a coroutine of a coroutine": _awaits_half,
    "a task": _returns_a_task,
}
in_process = {
    "generator": task(name="g", attempts=1, runs_on="cpu")(_returns_a_generator),
    "coroutine": task(name="c", attempts=1, runs_on="cpu")(_returns_a_coroutine),
}


class Sends:
    def __init__(self, greeting: str = "hello") -> None:
        self.greeting = greeting
        self.sent: list[str] = []

    def __call__(self, to: str, times: int = 1) -> None:
        self.sent.append(f"{self.greeting} {to}" * times)


class SendsLater:
    sent: list[str] = []  # noqa: RUF012

    async def __call__(self, to: str) -> None:
        self.sent.append(to)


class Yields:
    def __call__(self, to: str):
        yield to


def compute(factor: int, number: int) -> None:
    assert factor * number == 42


by_six = task(name="by_six", runs_on="cpu")(functools.partial(compute, 6))
greets = task(name="greets", runs_on="cpu")(Sends("good day"))
under_another_name = task(name="computes", runs_on="cpu")(compute)


class TestWhatHasNotRun:
    @pytest.mark.parametrize("kind", UNRUN)
    async def test_handing_it_back_is_a_failed_attempt_that_says_what_to_write(self, kind):
        declared = task(name="send", attempts=1)(UNRUN[kind])

        row = await outcome("sqlite://", declared, to="ann")

        assert (row.state, row.error_code) == ("dead", "NOT_RUN")
        assert "send returned" in row.error
        assert "rite " in row.error or "Go through" in row.error

    @pytest.mark.parametrize("kind", in_process)
    async def test_it_is_so_in_a_process(self, kind):
        row = await outcome("sqlite://", in_process[kind], to="ann")

        assert (row.state, row.error_code) == ("dead", "NOT_RUN")

    async def test_it_is_so_without_a_row(self, caplog):
        declared = task(name="send")(through(_coroutine))

        async with database("sqlite://") as db, running(db, declared):
            async with db.begin() as tx:
                declared.after_commit(tx, to="ann")
            await until(lambda: "NOT_RUN" in caplog.text)

    @pytest.mark.parametrize(
        "function",
        [
            _generator,
            _async_generator,
            Yields(),
            functools.partial(_generator, "ann"),
            functools.partial(functools.partial(_async_generator), "ann"),
        ],
    )
    def test_a_generator_is_refused_where_it_is_declared(self, function):
        with pytest.raises(TypeError, match=r"export is an? .*generator.*yield"):
            task(name="export")(function)

    def test_a_generator_is_no_handler_of_a_death_either(self):
        @task(name="send")
        async def send() -> None: ...

        with pytest.raises(TypeError, match=r"send\.on_dead is a generator"):
            send.on_dead(_generator)

    @pytest.mark.parametrize("value", [None, 0, "text", [1], {"a": 1}, (1, 2), {1}, object()])
    async def test_plain_values_are_fine(self, value):
        declared = task(name="send", attempts=1)(lambda: value)

        assert (await outcome("sqlite://", declared)).state == "succeeded"

    async def test_a_partial_is_a_task(self, database_url):
        sends = Sends()
        declared = task(name="send")(functools.partial(sends, times=2))

        assert (await outcome(database_url, declared, to="ann")).state == "succeeded"
        assert sends.sent == ["hello annhello ann"]

    async def test_a_partial_of_a_coroutine_function_is_awaited(self):
        declared = task(name="send")(functools.partial(_coroutine, to="ann"))

        assert declared.terms.runs_on == "loop"
        assert (await outcome("sqlite://", declared)).state == "succeeded"

    async def test_an_object_that_can_be_called_is_a_task(self):
        sends, sends_later = Sends(), SendsLater()

        await outcome("sqlite://", task(name="send")(sends), to="ann")
        await outcome("sqlite://", task(name="send")(sends_later), to="bob")

        assert sends.sent + sends_later.sent == ["hello ann", "bob"]

    @pytest.mark.parametrize(
        ("declared", "arguments"),
        [
            (by_six, {"number": 7}),
            (greets, {"to": "x"}),
            (under_another_name, {"factor": 6, "number": 7}),
        ],
    )
    async def test_they_run_in_processes_as_well(self, declared, arguments):
        assert (await outcome("sqlite://", declared, **arguments)).state == "succeeded"

    @pytest.mark.parametrize("function", [Sends(), functools.partial(compute, 1)])
    def test_what_has_no_name_needs_one(self, function):
        with pytest.raises(ValueError, match=r"@task\(name='\.\.\.'\)"):
            task()(function)

    @pytest.mark.parametrize("wrong", [Sends, int, 5])
    def test_a_class_is_refused(self, wrong):
        with pytest.raises(TypeError, match="no function"):
            task(name="send")(wrong)

    async def test_a_builtin_that_tells_nothing_is_refused(self):
        with pytest.raises(TypeError, match="Write a function"):
            _ = task(name="most")(max).signature

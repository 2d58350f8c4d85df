"""The tasks that an engine runs in `EngineContract`, and the `Jobs` with them.

They tell what they do in a file, whose path is their argument `log`, and in the table
`effects`, so that they can be watched from outside, whichever process they run in.
"""

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal

from opentelemetry import trace
from sqlalchemy import Column, Integer, MetaData, String, Table, event, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from roadworthy.database import Database
from roadworthy.jobs import (
    Backoff,
    Engine,
    Every,
    FailedAttempt,
    GiveUp,
    Job,
    Jobs,
    Limit,
    Task,
    TryAgain,
    run_worker,
    task,
)
from roadworthy.jobs.worker.context import Units
from roadworthy.problems import request_id

__all__ = [
    "DELAY",
    "TASKS",
    "Greeting",
    "Moment",
    "a_few_a_second",
    "add_up",
    "bury",
    "complete",
    "contract_jobs",
    "die",
    "each_hour",
    "each_second",
    "eat_memory",
    "effects",
    "fail",
    "fail_on_a_processor",
    "fail_until_allowed",
    "give_up",
    "greet",
    "metadata",
    "note",
    "one_a_name",
    "one_queued",
    "one_unfinished",
    "report",
    "take_too_long",
    "take_too_long_on_a_processor",
    "tell_who_asked",
    "try_again",
    "use_a_process",
    "use_a_processor",
    "use_a_thread",
    "wait",
    "wait_on_a_processor",
    "wait_on_a_thread",
    "wait_with_tx",
    "work",
    "write",
]

DELAY: Final = timedelta(milliseconds=200)
"""What `try_again` asks for, and about what `fail` waits."""
_LOOK: Final = 0.01
_FOREVER: Final = 60.0
_MIB: Final = 1024**2

Moment = Literal["", "in the task", "before the commit", "after the commit"]
"""When a job of the contract kills its worker in the first attempt."""

metadata = MetaData()
"""The table of effects."""

effects = Table(
    "roadworthy_contract_effects",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(50), nullable=False),
)
"""What tasks have done in a transaction."""


class Greeting(str):
    """A part that a task asks for."""

    __slots__ = ()


def contract_jobs(
    database: Units, *, engine: Engine, tasks: Iterable[Task[...]] | None = None
) -> Jobs:
    """Return the `Jobs` that a worker of the contract opens."""
    return Jobs(
        database,
        tasks=TASKS if tasks is None else tasks,
        parts=[Greeting("hello")],
        engine=engine,
        on_failure=_on_failure,
        on_dead=_on_dead,
    )


def work(url: str, engine: Engine) -> None:
    """Be a worker process."""
    database = Database(url)
    asyncio.run(run_worker(database, contract_jobs(database, engine=engine)))


@task(name="contract.note")
async def note(log: str, text: str) -> None:
    """Note a text."""
    _write(log, text)


@task(name="contract.fail", attempts=3, backoff=Backoff(first=DELAY, factor=1, most=DELAY))
async def fail(job: Job, log: str) -> None:
    """Fail each time."""
    _write(log, f"attempt {job.attempt} at {time.time()}")
    raise ValueError("it always fails")


@fail.on_dead
async def bury(tx: AsyncSession, log: str) -> None:
    """Note in the transaction that records the death that there was one."""
    await _add_effect(tx, "buried")


@task(name="contract.fail_on_cpu", runs_on="cpu", attempts=1)
def fail_on_a_processor(log: str) -> None:
    """Fail in a process."""
    raise ValueError("a secret")


@task(name="contract.give_up")
async def give_up(log: str) -> None:
    """Fail for good."""
    raise GiveUp("no use")


@task(name="contract.try_again", backoff=Backoff(first=timedelta(hours=1), most=timedelta(hours=1)))
async def try_again(job: Job, log: str) -> None:
    """Ask for a second attempt."""
    _write(log, f"attempt {job.attempt} at {time.time()}")
    if job.attempt == 1:
        raise TryAgain("not yet", delay=DELAY)


@task(name="contract.fail_until_allowed", attempts=1)
async def fail_until_allowed(log: str) -> None:
    """Fail until the test allows it."""
    if not _allowed(log, "go"):
        raise LookupError("not allowed")


@task(name="contract.take_too_long", timeout=DELAY, attempts=1)
async def take_too_long(log: str) -> None:
    """Take a minute."""
    await asyncio.sleep(_FOREVER)


@task(name="contract.too_long_on_cpu", runs_on="cpu", timeout=DELAY, attempts=1)
def take_too_long_on_a_processor(log: str) -> None:
    """Take a minute."""
    time.sleep(_FOREVER)


@task(name="contract.write", attempts=3)
async def write(tx: AsyncSession, job: Job, log: str, die: Moment = "") -> None:
    """Have an effect in the transaction that completes the job."""
    await _write_once(tx, job, log, die)


@task(name="contract.complete", attempts=3)
async def complete(job: Job, log: str, die: Moment = "") -> None:
    """Have an effect in a transaction at the end."""
    async with job.completing() as tx:
        await _write_once(tx, job, log, die)


@task(name="contract.die", attempts=1)
async def die(log: str) -> None:
    """Kill the worker."""
    _die(log)


@task(name="contract.wait")
async def wait(log: str, name: str) -> None:
    """Run until it is allowed to end."""
    _write(log, f"{name} began")
    await _until_allowed(log, name)
    _write(log, f"{name} ended")


@task(name="contract.wait_with_tx")
async def wait_with_tx(tx: AsyncSession, log: str, name: str) -> None:
    """Do the same, and have an effect then."""
    _write(log, f"{name} began")
    await _until_allowed(log, name)
    await _add_effect(tx, name)


@task(name="contract.wait_on_a_thread")
def wait_on_a_thread(job: Job, log: str, name: str) -> None:
    """Run on a thread until it is cancelled."""
    _write(log, f"{name} began")
    while not job.cancelled:
        time.sleep(_LOOK)


@task(name="contract.wait_on_a_processor", runs_on="cpu")
def wait_on_a_processor(log: str, name: str) -> None:
    """Run in a process for a minute."""
    _write(log, f"{name} began")
    time.sleep(_FOREVER)


@task(name="contract.one_queued", unique="queued")
async def one_queued(log: str) -> None:
    """Run until it is allowed to end; only one waits."""
    _write(log, "began")
    await _until_allowed(log, "go")


@task(name="contract.one_unfinished", unique="unfinished")
async def one_unfinished(log: str) -> None:
    """Run until it is allowed to end; there is only one."""
    _write(log, "began")
    await _until_allowed(log, "go")


def _its_name(name: str) -> str:
    return name


@task(name="contract.one_a_name", limit=Limit(concurrency=1, key=_its_name))
async def one_a_name(log: str, name: str) -> None:
    """Run for a moment."""
    _write(log, f"{name} began")
    await asyncio.sleep(5 * _LOOK)
    _write(log, f"{name} ended")


@task(name="contract.a_few_a_second", limit=Limit(rate=2, per=timedelta(seconds=1)))
async def a_few_a_second(log: str) -> None:
    """Note that it ran."""
    _write(log, "ran")


@task(name="contract.use_a_thread")
def use_a_thread(log: str) -> None:
    """Note whether this is the main thread, and which process it is."""
    main = threading.current_thread() is threading.main_thread()
    _write(log, f"{'main' if main else 'another'} thread")


@task(name="contract.use_a_processor", runs_on="cpu")
def use_a_processor(log: str) -> None:
    """Note which process this is, and whose child."""
    _write(log, f"{os.getpid()} of {os.getppid()}")


@task(name="contract.use_a_process")
async def use_a_process(job: Job, log: str) -> None:
    """Note what a process has found, and which it was."""
    _write(log, f"{os.getpid()} {await job.in_process(add_up, 3)}")


def add_up(most: int) -> tuple[int, int]:
    """Return the process and a sum."""
    return os.getpid(), sum(range(most + 1))


@task(name="contract.eat_memory", runs_on="cpu", attempts=1, max_memory=100 * _MIB)
def eat_memory(log: str) -> None:
    """Need more memory than there is."""
    _write(log, str(len(bytearray(400 * _MIB))))


@task(name="contract.report")
async def report(job: Job, log: str) -> None:
    """Tell how far it is, and wait."""
    job.progress(0.25, "a quarter")
    await _until_allowed(log, "go")


@task(name="contract.tell_who_asked")
async def tell_who_asked(job: Job, log: str) -> None:
    """Note the request and the trace that it belongs to."""
    trace_id = trace.get_current_span().get_span_context().trace_id
    _write(log, f"{job.request_id} {request_id()} {trace_id:x}")


@task(name="contract.greet")
async def greet(job: Job, log: str) -> None:
    """Note what the part says."""
    _write(log, job.find(Greeting))


TASKS: Final[tuple[Task[...], ...]] = (
    *(note, fail, give_up, try_again, fail_until_allowed, write, complete, die, greet),
    *(take_too_long, take_too_long_on_a_processor, report, tell_who_asked, eat_memory),
    *(wait, wait_with_tx, wait_on_a_thread, wait_on_a_processor, one_queued, one_unfinished),
    *(use_a_thread, use_a_processor, use_a_process, fail_on_a_processor),
    *(one_a_name, a_few_a_second),
)
"""The tasks of the contract but for those that have a schedule."""


@task(name="contract.each_second", schedule=Every(timedelta(seconds=1)))
async def each_second() -> None:
    """Do nothing, each second."""


@task(name="contract.each_hour", schedule=Every(timedelta(hours=1)))
async def each_hour() -> None:
    """Do nothing, each hour."""


async def _write_once(tx: AsyncSession, job: Job, log: str, moment: Moment) -> None:
    await _add_effect(tx, "written")
    if job.attempt > 1 or not moment:
        return
    if moment == "in the task":
        _die(log)
    name = {"before the commit": "before_commit", "after the commit": "after_commit"}[moment]

    def die_there(_: Session) -> None:
        _die(log)

    event.listen(tx.sync_session, name, die_there)


def _die(log: str) -> None:
    _write(log, "dying")
    os.kill(os.getpid(), signal.SIGKILL)


async def _add_effect(tx: AsyncSession, name: str) -> None:
    await tx.execute(insert(effects).values(name=name))


def _on_failure(failed: FailedAttempt) -> None:
    _hear("on_failure", failed)


def _on_dead(failed: FailedAttempt) -> None:
    _hear("on_dead", failed)


def _hear(hook: str, failed: FailedAttempt) -> None:
    try:
        arguments: dict[str, Any] = json.loads(failed.arguments)
    except ValueError:
        return
    again = "again" if failed.again_in is not None else "no more"
    _write(arguments["log"], f"{hook} {failed.attempt} {failed.error_code} {again}")


def _write(log: str, line: str) -> None:
    with Path(log).open("a") as file:
        file.write(f"{line}\n")


def _allowed(log: str, name: str) -> bool:
    return Path(f"{log}.{name}").exists()


async def _until_allowed(log: str, name: str) -> None:
    while not _allowed(log, name):  # noqa: ASYNC110 - whoever allows it is another process
        await asyncio.sleep(_LOOK)

"""`Ledger`: what engines do to the rows of jobs, each move as `states` has it.

Every move out of `running` is fenced: it happens only while the row still carries the
lease of the worker that asks, so a worker that was taken for dead changes nothing.
"""

import json
import socket
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from os import getpid, urandom
from time import monotonic
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Row,
    String,
    Text,
    any_,
    bindparam,
    case,
    delete,
    func,
    null,
    or_,
    select,
    text,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from roadworthy.jobs.calendar import earlier, later
from roadworthy.jobs.moves import in_state, moved
from roadworthy.jobs.states import TRANSITIONS, State
from roadworthy.jobs.tables import table, utc, utc_or_none

__all__ = ["WORKER_LOST", "Claimed", "Failure", "Ledger", "worker_name"]

WORKER_LOST: Final = "WORKER_LOST"
"""The code of a job whose worker died."""
_PROMOTED: Final = 5000
"""Jobs whose time has come, queued by one statement: the rest follow in the next."""
_SWEPT: Final = 1000


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job that this worker holds the lease of."""

    id: str
    task: str
    version: int
    arguments: str
    queue: str
    attempts: int
    """The number of this attempt, from 1."""
    run_at: datetime
    turn_at: datetime
    request_id: str | None
    trace: str | None


_NAMES: Final = tuple(field.name for field in fields(Claimed))
_TIMES: Final = ("run_at", "turn_at")


@dataclass(frozen=True, slots=True)
class Failure:
    """How an attempt failed: a code for clients, and a text for operators."""

    code: str
    text: str = ""


def worker_name() -> str:
    """Return a name that no other worker has, and that says where it runs."""
    return f"{socket.gethostname()[:60]}:{getpid()}:{urandom(4).hex()}"


class Ledger:
    """Move the rows of jobs, in the name of one worker.

    `lease` is how long a claim counts without a heartbeat. `clock` is what the time is
    taken from. Without one it is PostgreSQL's, so that machines agree, and between two looks
    at that the monotonic clock: that of a machine's wall may jump. SQLite has no clock, and
    one machine.
    """

    def __init__(
        self, *, worker: str, lease: timedelta, clock: Callable[[], datetime] | None = None
    ) -> None:
        self.worker = worker
        self.lease = lease
        self._clock = clock or _utc
        self._corrected = clock is None
        self._told: tuple[datetime, float] | None = None
        """What the server's clock was, and when that was on the monotonic one."""

    def now(self) -> datetime:
        """Return the time that leases are judged by."""
        if self._told is None:
            return self._clock()
        then, at = self._told
        return then + timedelta(seconds=monotonic() - at)

    async def correct_clock(self, connection: AsyncConnection, *, first: bool = False) -> None:
        """Take the server's clock for ours, where there is a server.

        With `first` only if that has not happened yet: nothing is judged by another clock.
        """
        if first and self._told is not None:
            return
        if self._corrected and connection.dialect.name == "postgresql":
            asked = await connection.execute(select(func.clock_timestamp()))
            self._told = (asked.scalar_one(), monotonic())

    async def hurry(self, connection: AsyncConnection) -> None:
        """Have this transaction return before PostgreSQL's disk has it.

        For claims, and for notes that a job is done: when the server crashes within the
        moment that it takes, those jobs run again, as they may anyway.
        """
        if connection.dialect.name == "postgresql":
            await connection.execute(_hurry)

    async def claim(
        self, connection: AsyncConnection, *, queue: str, runs_on: str, limit: int
    ) -> list[Claimed]:
        """Take up to `limit` jobs whose turn it is, and hold their leases."""
        now = self.now()
        rows = await connection.execute(
            _claim,
            {
                "of_queue": queue,
                "of_tier": runs_on,
                "most": limit,
                "by": self.worker,
                "now": now,
                "until": later(now, self.lease),
            },
        )
        return sorted(map(_claimed, rows), key=lambda job: (job.turn_at, job.id))

    async def succeed(self, connection: AsyncConnection, ids: Collection[str]) -> int:
        """Note that jobs are done; return how many of them were still ours."""
        values = {"finished_at": self.now(), "error_code": None, "error": None, **_ENDED}
        return await self._move(connection, "succeed", ids, **values)

    async def again(
        self, connection: AsyncConnection, job: Claimed, failure: Failure, *, delay: timedelta
    ) -> bool:
        """Note that an attempt failed, and when the next one is."""
        run_at = later(self.now(), delay)
        turn_at = earlier(run_at, job.run_at - job.turn_at)  # as far before it as ever
        values = {"run_at": run_at, "turn_at": turn_at, **_noted(failure), **_FREED}
        return await self._move(connection, "again", [job.id], **values) == 1

    async def bury(self, connection: AsyncConnection, job: Claimed, failure: Failure) -> bool:
        """Note that a job is dead."""
        values = {"attempts": job.attempts, "finished_at": self.now(), **_noted(failure), **_ENDED}
        return await self._move(connection, "bury", [job.id], **values) == 1

    async def stop(self, connection: AsyncConnection, job: Claimed, failure: Failure) -> bool:
        """Note that a job was cancelled as it ran."""
        values = {"finished_at": self.now(), **_noted(failure), **_ENDED}
        return await self._move(connection, "stop", [job.id], **values) == 1

    async def park(self, connection: AsyncConnection, job: Claimed, failure: Failure) -> bool:
        """Put a job aside until a worker knows its task; no attempt is used."""
        values = {"attempts": table.c.attempts - 1, **_noted(failure), **_FREED}
        return await self._move(connection, "park", [job.id], **values) == 1

    async def release(self, connection: AsyncConnection, ids: Collection[str]) -> int:
        """Give jobs back that did not end; no attempt is used."""
        values = {"attempts": table.c.attempts - 1, **_FREED}
        return await self._move(connection, "release", ids, **values)

    async def beat(self, connection: AsyncConnection, ids: Collection[str]) -> dict[str, bool]:
        """Extend our leases; return which are still ours, and whether to cancel each."""
        renewed = (
            update(table)
            .where(in_state(State.RUNNING), table.c.worker == self.worker, _among(connection))
            .values(leased_until=later(self.now(), self.lease))
            .returning(table.c.id, table.c.cancel_requested)
        )
        rows = await connection.execute(renewed, {"ids": _ids(connection, ids)})
        return {row.id: row.cancel_requested for row in rows}

    async def report(
        self, connection: AsyncConnection, progress: Iterable[tuple[str, float, str]]
    ) -> None:
        """Write down how far jobs are."""
        rows = [
            {"of_id": id_, "by": self.worker, "done": done, "note": note}
            for id_, done, note in progress
        ]
        if rows:
            await connection.execute(_report, rows)

    async def others(self, connection: AsyncConnection) -> list[str]:
        """Return the names of the other workers that have running jobs."""
        running = select(table.c.worker).where(in_state(State.RUNNING)).distinct()
        return [name for name in await connection.scalars(running) if name != self.worker]

    async def rescue(
        self,
        connection: AsyncConnection,
        *,
        mine: Collection[str],
        dead: Collection[str] = (),
        alone: bool = False,
    ) -> Sequence[tuple[str, str, str]]:
        """Queue jobs whose lease has ended, but for `mine`; return which, and of whom.

        Of each: its id, its task and its old worker. For workers that are known to be `dead`,
        no lease is waited for; with `alone`, all others are.
        """
        ended: ColumnElement[bool] = true() if alone else table.c.leased_until < self.now()
        if dead:
            ended = or_(ended, table.c.worker.in_(dead))
        lost = (
            moved("rescue")
            .where(ended, ~_among(connection))
            .values(error_code=WORKER_LOST, error=None, leased_until=None)
            .returning(table.c.id, table.c.task, table.c.worker)
        )
        rows = await connection.execute(lost, {"ids": _ids(connection, mine)})
        return [(row.id, row.task, row.worker) for row in rows]

    async def promote(self, connection: AsyncConnection) -> datetime | None:
        """Queue what is due now; return when the next job is."""
        await connection.execute(_promote, {"now": self.now(), "most": _PROMOTED})
        return utc_or_none((await connection.execute(_next_due)).scalar())

    async def unpark(self, connection: AsyncConnection, known: Callable[[str, int], bool]) -> int:
        """Queue parked jobs whose task is known here; return how many."""
        parked = select(table.c.task, table.c.version).where(in_state(State.PARKED)).distinct()
        found = [
            {"of_task": task, "of_version": version}
            for task, version in await connection.execute(parked)
            if known(task, version)
        ]
        if found:
            await connection.execute(_unpark, found)
        return len(found)

    async def sweep(self, connection: AsyncConnection, state: State, before: datetime) -> int:
        """Remove jobs that ended before a time, a thousand at most; return how many."""
        old = select(table.c.id).where(in_state(state), table.c.finished_at < before).limit(_SWEPT)
        return (await connection.execute(delete(table).where(table.c.id.in_(old)))).rowcount

    async def _move(
        self, connection: AsyncConnection, move: str, ids: Collection[str], **values: Any
    ) -> int:
        statement = moved(move).where(table.c.worker == self.worker, _among(connection))
        result = await connection.execute(
            statement.values(**values), {"ids": _ids(connection, ids)}
        )
        return result.rowcount


_FREED: Final[dict[str, Any]] = {"worker": None, "leased_until": None}
_ENDED: Final[dict[str, Any]] = {"leased_until": None, "unique_key": None}
_MAX_TEXT: Final = 4000
_MAX_CODE: Final = 100


def _claimed(row: Row[*tuple[Any, ...]]) -> Claimed:
    values: dict[str, Any] = dict(zip(_NAMES, row, strict=True))
    values |= {name: utc(values[name]) for name in _TIMES}
    return Claimed(**values)


def _noted(failure: Failure) -> dict[str, Any]:
    # Neither database can store a NUL or half a surrogate pair, and an exception may hold both.
    return {
        "error_code": _storable(failure.code[:_MAX_CODE])[:_MAX_CODE],
        "error": _storable(failure.text[:_MAX_TEXT]),
    }


def _storable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\0")


def _utc() -> datetime:
    return datetime.now(UTC)


def _among(connection: AsyncConnection) -> ColumnElement[bool]:
    # One text for any number of ids, so that the statement is prepared once.
    if connection.dialect.name == "postgresql":
        return table.c.id == any_(bindparam("ids", type_=ARRAY(String)))
    listed = text("SELECT value FROM json_each(:ids)")
    return table.c.id.in_(listed.bindparams(bindparam("ids", type_=Text)))


def _ids(connection: AsyncConnection, ids: Collection[str]) -> Any:
    return list(ids) if connection.dialect.name == "postgresql" else json.dumps(list(ids))


_hurry = text("SET LOCAL synchronous_commit = off")
_due = (
    select(table.c.id)
    .where(
        in_state(State.QUEUED),
        table.c.queue == bindparam("of_queue"),
        table.c.runs_on == bindparam("of_tier"),
    )
    .order_by(table.c.turn_at, table.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
    # A common table expression, because PostgreSQL may run a subquery more than once.
    .cte("due")
)
_claim = (
    update(table)
    .where(table.c.id.in_(select(_due.c.id)))
    .values(
        state=TRANSITIONS["claim"].target,
        worker=bindparam("by"),
        started_at=bindparam("now"),
        leased_until=bindparam("until"),
        attempts=table.c.attempts + 1,
        progress=None,
        progress_note=None,
        unique_key=case((table.c.unique_until == "queued", null()), else_=table.c.unique_key),
    )
    .returning(*(table.c[name] for name in _NAMES))
)
_ready = (
    select(table.c.id)
    .where(in_state(*TRANSITIONS["promote"].source), table.c.run_at <= bindparam("now"))
    .order_by(table.c.run_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
    .cte("ready")
)
_promote = (
    update(table)
    .where(table.c.id.in_(select(_ready.c.id)))
    .values(state=TRANSITIONS["promote"].target)
)
_next_due = select(func.min(table.c.run_at)).where(in_state(State.SCHEDULED))
_unpark = moved("unpark").where(
    table.c.task == bindparam("of_task"), table.c.version == bindparam("of_version")
)
_report = (
    update(table)
    .where(
        in_state(State.RUNNING), table.c.id == bindparam("of_id"), table.c.worker == bindparam("by")
    )
    .values(progress=bindparam("done"), progress_note=bindparam("note"))
)

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
    and_,
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

from roadworthy._internal.calendar import earlier, later
from roadworthy._internal.traces import MAX_TRACE
from roadworthy.jobs.table import history
from roadworthy.jobs.table.history import storable
from roadworthy.jobs.table.moves import in_state, kept_key, moved, target_of
from roadworthy.jobs.table.paused import is_paused
from roadworthy.jobs.table.states import TRANSITIONS, State
from roadworthy.jobs.table.tables import attempts, table, utc, utc_or_none

__all__ = [
    "EXPIRED",
    "PAUSED",
    "RELEASED",
    "WORKER_LOST",
    "Claimed",
    "Failure",
    "Ledger",
    "worker_name",
]

WORKER_LOST: Final = "WORKER_LOST"
"""The code of a job whose worker died."""
RELEASED: Final = "RELEASED"
"""The code of an attempt that its worker gave back, because that one stopped."""
PAUSED: Final = "PAUSED"
"""The code of a job that waits because an operator has paused its task."""
EXPIRED: Final = "EXPIRED"
"""The code of a job that nobody began in time."""
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
    expired: bool = False
    """Whether nobody has begun it in time."""
    paused: bool = False
    """Whether an operator has paused its task."""


_NAMES: Final = tuple(field.name for field in fields(Claimed))
_TIMES: Final = ("run_at", "turn_at")
_FLAGS: Final = ("expired", "paused")


@dataclass(frozen=True, slots=True)
class Failure:
    """How an attempt failed: a code for clients, a text and a trace for operators."""

    code: str
    text: str = ""
    traceback: str | None = None
    attempted: bool = True
    """Whether the task was run: a job may also be given up before that."""


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
        """Take the time from PostgreSQL from now on, where that is the server.

        With `first` only if that has not happened yet: nothing is judged by another clock.
        """
        if first and self._told is not None:
            return
        if self._corrected and connection.dialect.name == "postgresql":
            asked = await connection.execute(select(func.clock_timestamp()))
            self._told = (asked.scalar_one(), monotonic())

    async def skip_fsync(self, connection: AsyncConnection) -> None:
        """Set `synchronous_commit = off` for this transaction, on PostgreSQL.

        For claims, and for notes that a job is done: when the server crashes within the
        moment that it takes, those jobs run again, as they may anyway.
        """
        if connection.dialect.name == "postgresql":
            await connection.execute(_skip_fsync)

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
        return await self._fail(connection, "again", job, failure, **values)

    async def bury(self, connection: AsyncConnection, job: Claimed, failure: Failure) -> bool:
        """Note that a job is dead."""
        values = {"attempts": job.attempts, "finished_at": self.now(), **_noted(failure), **_ENDED}
        if failure.code == EXPIRED:  # nothing has begun, and no rate counts it
            values["started_at"] = None
        return await self._fail(connection, "bury", job, failure, **values)

    async def stop(self, connection: AsyncConnection, job: Claimed, failure: Failure) -> bool:
        """Note that a job was cancelled as it ran."""
        values = {"finished_at": self.now(), **_noted(failure), **_ENDED}
        return await self._fail(connection, "stop", job, failure, **values)

    async def park(self, connection: AsyncConnection, job: Claimed, failure: Failure) -> bool:
        """Put a job aside until a worker knows its task; no attempt is used."""
        values = {"attempts": table.c.attempts - 1, **_noted(failure), **_FREED}
        return await self._move(connection, "park", [job.id], **values) == 1

    async def release(
        self, connection: AsyncConnection, ids: Collection[str], *, begun: Collection[str] = ()
    ) -> int:
        """Give unfinished jobs back to the queue; no attempt is used.

        Those that had `begun` are kept as attempts that ended with `RELEASED`.
        """
        values = {"attempts": table.c.attempts - 1, **_FREED}
        released = moved("release").where(table.c.worker == self.worker, _among(connection))
        rows = await connection.execute(
            released.values(**values).returning(*_KEPT), {"ids": _ids(connection, ids)}
        )
        back = rows.all()
        failure = Failure(RELEASED, "Its worker stopped, and gave it back.")
        ended = [
            self._attempt(row, failure, attempt=row.attempts + 1, worker=self.worker)
            for row in back
            if row.id in begun
        ]
        await history.add(connection, ended)
        return len(back)

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
        """Write down the progress of running jobs."""
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
            .returning(*_KEPT, table.c.task, table.c.worker)
        )
        rows = (await connection.execute(lost, {"ids": _ids(connection, mine)})).all()
        failure = Failure(WORKER_LOST)
        kept = [
            self._attempt(row, failure, attempt=row.attempts, worker=row.worker) for row in rows
        ]
        await history.add(connection, kept)
        return [(row.id, row.task, row.worker) for row in rows]

    async def promote(self, connection: AsyncConnection) -> datetime | None:
        """Queue what is due now; return when the next job is."""
        await connection.execute(_promote, {"now": self.now(), "most": _PROMOTED})
        return utc_or_none((await connection.execute(_next_due)).scalar())

    async def unpark(self, connection: AsyncConnection, known: Callable[[str, int], bool]) -> int:
        """Queue parked jobs whose task is known here; return how many."""
        parked = (
            select(table.c.task, table.c.version)
            .where(in_state(State.PARKED), ~is_paused("task", table.c.task))
            .distinct()
        )
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
        swept = delete(table).where(table.c.id.in_(old)).returning(table.c.id)
        ids = (await connection.execute(swept)).scalars().all()
        if connection.dialect.name == "sqlite":  # where it may not be told to cascade
            kept = delete(attempts).where(_among(connection, attempts.c.job_id))
            await connection.execute(kept, {"ids": _ids(connection, ids)})
        return len(ids)

    async def _move(
        self, connection: AsyncConnection, move: str, ids: Collection[str], **values: Any
    ) -> int:
        statement = moved(move).where(table.c.worker == self.worker, _among(connection))
        result = await connection.execute(
            statement.values(**values), {"ids": _ids(connection, ids)}
        )
        return result.rowcount

    async def _fail(
        self,
        connection: AsyncConnection,
        move: str,
        job: Claimed,
        failure: Failure,
        **values: Any,
    ) -> bool:
        """Move a job whose attempt came to nothing, and keep the attempt."""
        statement = moved(move).where(table.c.worker == self.worker, _this)
        statement = statement.values(**values).returning(*_KEPT)
        row = (await connection.execute(statement, {"of_id": job.id})).first()
        if row is None:
            return False
        if failure.attempted:
            kept = self._attempt(row, failure, attempt=job.attempts, worker=self.worker)
            await history.add(connection, [kept])
            await history.forget(connection, job.id, job.attempts)
        return True

    def _attempt(
        self, row: Row[*tuple[Any, ...]], failure: Failure, *, attempt: int, worker: str | None
    ) -> history.Ended:
        now, trace = self.now(), failure.traceback
        return history.Ended(
            job_id=row.id,
            attempt=attempt,
            began_at=now if row.started_at is None else utc(row.started_at),
            ended_at=now,
            worker=worker,
            **_noted(failure),
            traceback=None if trace is None else storable(trace, MAX_TRACE),
            limit_key=row.limit_key,
        )


_KEPT: Final = (table.c.id, table.c.attempts, table.c.started_at, table.c.limit_key)
"""What is read of a row whose attempt is kept."""
_this = table.c.id == bindparam("of_id", type_=String)
_FREED: Final[dict[str, Any]] = {"worker": None, "leased_until": None}
_ENDED: Final[dict[str, Any]] = {"leased_until": None, "unique_key": None}
_MAX_TEXT: Final = 4000
_MAX_CODE: Final = 100


def _claimed(row: Row[*tuple[Any, ...]]) -> Claimed:
    values: dict[str, Any] = dict(zip(_NAMES, row, strict=True))
    values |= {name: utc(values[name]) for name in _TIMES}
    values |= {name: bool(values[name]) for name in _FLAGS}
    return Claimed(**values)


def _noted(failure: Failure) -> dict[str, Any]:
    return {
        "error_code": storable(failure.code, _MAX_CODE)[:_MAX_CODE],
        "error": storable(failure.text, _MAX_TEXT),
    }


def _utc() -> datetime:
    return datetime.now(UTC)


def _among(
    connection: AsyncConnection, column: ColumnElement[str] = table.c.id
) -> ColumnElement[bool]:
    # One text for any number of ids, so that the statement is prepared once.
    if connection.dialect.name == "postgresql":
        return column == any_(bindparam("ids", type_=ARRAY(String)))
    listed = text("SELECT value FROM json_each(:ids)")
    return column.in_(listed.bindparams(bindparam("ids", type_=Text)))


def _ids(connection: AsyncConnection, ids: Collection[str]) -> Any:
    return list(ids) if connection.dialect.name == "postgresql" else json.dumps(list(ids))


_skip_fsync = text("SET LOCAL synchronous_commit = off")
_due = (
    select(table.c.id)
    .where(
        in_state(State.QUEUED),
        table.c.queue == bindparam("of_queue"),
        table.c.runs_on == bindparam("of_tier"),
        ~is_paused("queue", bindparam("of_queue", type_=String)),
    )
    .order_by(table.c.turn_at, table.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
    # A common table expression, because PostgreSQL may run a subquery more than once.
    .cte("due")
)
_expired = and_(
    # A job without a limit of time costs one look at a null.
    table.c.expires_at.is_not(None),
    table.c.expires_at <= bindparam("now"),
    table.c.attempts == 1,
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
        unique_of=kept_key(),
        unique_key=case((table.c.unique_until == "queued", null()), else_=table.c.unique_key),
    )
    .returning(
        *(table.c[name] for name in _NAMES if name not in _FLAGS),
        _expired,
        is_paused("task", table.c.task),
    )
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
    update(table).where(table.c.id.in_(select(_ready.c.id))).values(state=target_of("promote"))
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

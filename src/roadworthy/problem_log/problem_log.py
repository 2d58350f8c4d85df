"""`ProblemLog`: the part that hears of problems and writes them behind the responses."""

import asyncio
import hmac
import logging
import os
import re
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from time import monotonic, time
from types import TracebackType
from typing import Any, ClassVar, Final, NamedTuple, Protocol, Self, TypeAlias

from sqlalchemy import Delete, bindparam, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from starlette.applications import Starlette
from starlette.types import Scope

from roadworthy import _fastapi, problems
from roadworthy._internal.ids import new_id
from roadworthy._internal.traces import trace_of
from roadworthy._sqlalchemy.dialects import insert_into
from roadworthy.problem_log.sampling import Sampler
from roadworthy.problem_log.table import counts, table
from roadworthy.problem_log.tally import Kind, Tally
from roadworthy.problems import Outcome, request_id
from roadworthy.problems.report import FIRST_ERROR

__all__ = ["CallerOf", "HasEngine", "ProblemLog"]

_log = logging.getLogger("roadworthy.problem_log")

CallerOf: TypeAlias = Callable[[Scope], str | None]
"""Return who sent a request; only a keyed hash of it is kept."""

_PAUSE: Final = 0.5
"""Seconds between two batches."""
_DEADLINE: Final = 5.0
"""Seconds that one batch may take."""
_LAST: Final = 1.0
"""Seconds that the last batch may take."""
_WAITING: Final = 2000
"""Problems that wait to be written; older ones give way."""
_TRIM_SECONDS: Final = 60.0
_TRIMMED: Final = 5000
"""Rows that one statement takes out of the ring."""
_COUNTS_KEPT: Final = timedelta(days=8)
_SILENCE: Final = 60.0
"""Seconds between two log lines that say problems are lost."""


class HasEngine(Protocol):
    """A `Database`, or whatever else has an asynchronous engine for writing."""

    @property
    def engine(self) -> AsyncEngine:
        """The engine that rows are written with."""
        ...


class _Noted(NamedTuple):
    """A problem that waits to be written."""

    seconds: float
    kind: Kind
    method: str
    request_id: str
    caller: str | None
    crash: tuple[str, str] | None
    """The class of its exception, and its frames."""
    stands_for: int


class ProblemLog:
    """Keep the last problems in a table: a part, opened after the database.

    It costs a response below 400 nothing. Where the writer falls behind, the oldest
    that wait are lost; where the database fails, the batch is. A line of the logger
    `roadworthy.problem_log` says so, once a minute at most.

    Args:
        database: A `Database`, or what else has an `engine`.
        keep: How many problems the table holds, at most; the oldest go first.
        per_second: How many are written in a second by this process; the others are counted
            in `stands_for` of the next of their code and route.
        caller: Returns who sent a request, from its ASGI scope; the address of the client,
            if it is not given.
        secret: The key of the callers' hashes, so that processes and restarts agree; without
            one, each process has its own.

    Raises:
        ValueError: `keep` or `per_second` is less than 1.
    """

    errors_only: ClassVar[bool] = True
    """For `problems.watch`: other requests do not concern it."""

    def __init__(
        self,
        database: HasEngine,
        *,
        keep: int = 100_000,
        per_second: int = 50,
        caller: CallerOf | None = None,
        secret: str | None = None,
    ) -> None:
        for name, value in (("keep", keep), ("per_second", per_second)):
            if value < 1:
                raise ValueError(f"{name} is {value}, and has to be at least 1.")
        self._database, self._keep = database, keep
        self._caller = caller or _address
        self._key = os.urandom(32) if secret is None else secret.encode()
        self._sampler = Sampler(per_second)
        self._tally = Tally()
        self._waiting: deque[_Noted] = deque(maxlen=_WAITING)
        self._writer: asyncio.Task[None] | None = None
        self._trim_at = 0.0
        self._silent_until = 0.0

    @property
    def database(self) -> HasEngine:
        """The database that the table is in, to ask for what is kept."""
        return self._database

    def watch(self, app: Starlette) -> None:
        """Keep the problems of an application; call it where `problems.install(app)` stands."""
        problems.watch(app, self)

    async def __aenter__(self) -> Self:
        """Begin to write."""
        self._writer = asyncio.create_task(self._write_forever())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what waits, for a second at most: a stop does not wait for a database."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
            self._writer = None
        await self._write(_LAST)

    def began(self, scope: Scope) -> None:
        """Do nothing: problems are known at the end."""

    def ended(self, scope: Scope, outcome: Outcome) -> None:
        """Keep a problem, if the request had one."""
        status = outcome.status
        if status is None or (status < FIRST_ERROR and outcome.crash is None):
            return
        now, route = time(), getattr(_fastapi.route_of(scope), "path_format", None)
        code = outcome.error_code or ("LATE_FAILURE" if status < FIRST_ERROR else str(status))
        kind = Kind(code[:100], status, (route or "-")[:200], _reason(outcome.reason))
        self._tally.note(kind, now)
        stands_for = self._sampler.take((kind.code, kind.route))
        if stands_for:
            self._note(scope, outcome.crash, kind, now, stands_for)

    def _note(
        self, scope: Scope, crash: BaseException | None, kind: Kind, seconds: float, stands_for: int
    ) -> None:
        """Keep what is known only now; the writer makes a row of it, behind the response."""
        named = None if crash is None else (_name_of(crash), trace_of(crash))
        method: str = scope.get("method", "-")
        noted = _Noted(
            seconds, kind, method, request_id() or "-", self._caller(scope), named, stands_for
        )
        self._waiting.append(noted)

    def _row(self, noted: "_Noted") -> dict[str, Any]:
        exception, trace = noted.crash or (None, None)
        return {
            "id": new_id(noted.seconds),
            "at": datetime.fromtimestamp(noted.seconds, UTC),
            "status": noted.kind.status,
            "code": noted.kind.code,
            "method": noted.method[:16],
            "route": noted.kind.route,
            "request_id": noted.request_id[:128],
            "caller": self._hash(noted.caller),
            "exception": exception,
            "traceback": trace,
            "stands_for": noted.stands_for,
            "reason": noted.kind.reason or None,
        }

    def _hash(self, caller: str | None) -> str | None:
        if caller is None:
            return None
        return hmac.new(self._key, caller.encode("utf-8", "replace"), sha256).hexdigest()[:16]

    async def _write_forever(self) -> None:
        while True:
            await asyncio.sleep(_PAUSE)
            await self._write(_DEADLINE)

    async def _write(self, seconds: float) -> None:
        rows, counted = [self._row(noted) for noted in self._waiting], self._tally.take()
        if not counted:
            return
        self._waiting.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._insert(rows, counted)
        except Exception as error:  # whatever a driver raises: rows are lost, and nothing else
            self._tally.put_back(counted)
            self._say_lost(len(rows), error)

    async def _insert(self, rows: list[dict[str, Any]], counted: list[dict[str, Any]]) -> None:
        async with self._database.engine.begin() as connection:
            if rows:
                await connection.execute(insert(table), rows)
            await connection.execute(_add(connection.dialect.name), counted)
            await self._trim(connection)

    async def _trim(self, connection: AsyncConnection) -> None:
        """Take the oldest out of the ring, a bounded number at a time."""
        if monotonic() < self._trim_at:
            return
        self._trim_at = monotonic() + _TRIM_SECONDS
        await connection.execute(_old_counts, {"before": datetime.now(UTC) - _COUNTS_KEPT})
        removed = await connection.execute(_too_many, {"keep": self._keep})
        if removed.rowcount == _TRIMMED:
            self._trim_at = 0.0

    def _say_lost(self, lost: int, error: Exception) -> None:
        if monotonic() >= self._silent_until:
            self._silent_until = monotonic() + _SILENCE
            _log.warning("%d problems are not kept, as the database fails: %r", lost, error)


def _oldest() -> Delete:
    newest_to_go = (
        select(table.c.id).order_by(table.c.id.desc()).offset(bindparam("keep")).limit(1)
    ).scalar_subquery()
    old = select(table.c.id).where(table.c.id <= newest_to_go).order_by(table.c.id).limit(_TRIMMED)
    return delete(table).where(table.c.id.in_(old))


_too_many: Final = _oldest()
_old_counts: Final = delete(counts).where(counts.c.begins_at < bindparam("before"))
_REASON: Final = re.compile(r"[a-z0-9_.-]{1,64}")


@cache
def _add(dialect: str) -> Any:
    """Return the INSERT that adds to counts that are there."""
    new = insert_into(counts, dialect)
    total = counts.c.problems + new.excluded.problems
    key = [column.name for column in counts.primary_key]
    return new.on_conflict_do_update(index_elements=key, set_={"problems": total})


def _reason(told: str | None) -> str:
    """Return a machine code, or nothing: a text is none, whoever has written it."""
    return told if told is not None and _REASON.fullmatch(told) else ""


def _address(scope: Scope) -> str | None:
    client = scope.get("client")
    return None if client is None else str(client[0])


def _name_of(error: BaseException) -> str:
    kind = type(error)
    return f"{kind.__module__}.{kind.__qualname__}"[:200]

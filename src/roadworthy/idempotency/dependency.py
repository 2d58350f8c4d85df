"""`Idempotency`: the dependency that claims a key and stores the answer."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any, Final, TypeAlias

from fastapi import Depends, Header, Request, params
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from roadworthy import _fastapi, problems
from roadworthy._internal.durations import check_duration, check_size
from roadworthy.idempotency import answers_table
from roadworthy.idempotency.errors import (
    IdempotencyInProgress,
    IdempotencyKeyInvalid,
    IdempotencyKeyRequired,
    IdempotencyKeyReused,
)
from roadworthy.idempotency.fingerprint import digest, fingerprint_of
from roadworthy.idempotency.guard import TransactionEnded, TransactionGuard
from roadworthy.idempotency.kept import REPLAYED, Kept, keep
from roadworthy.idempotency.key import PATTERN, Key, read_key
from roadworthy.idempotency.keyed_lock import KeyedLock, lock
from roadworthy.idempotency.metrics import replayed
from roadworthy.idempotency.replay_lookup import glance
from roadworthy.idempotency.sessions import awaitable, judge, sync_session_of
from roadworthy.problems.declare import amends_openapi

__all__ = ["Idempotency", "by_authorization"]

METHODS: Final = frozenset({"POST", "PATCH"})
"""The methods with keys; the others are idempotent by themselves (RFC 9110 §9.2.2)."""

_FIRST_FAILURE: Final = 400
_RAN_AGAIN: Final = "roadworthy.idempotency.ran_again"

_KeyHeader: TypeAlias = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="A name for this attempt, such as a new UUID: repeats with the same key "
        "get the first answer, and change nothing.",
        json_schema_extra={"pattern": PATTERN},
    ),
]


def by_authorization(request: Request) -> str:
    """Return the caller's `Authorization`; all requests without one are one caller."""
    return request.headers.get("authorization", "")


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A request with a key."""

    key: Key
    id: str
    route: str
    fingerprint: str
    until: float
    """When to stop waiting for another request, in the event loop's time."""


class Idempotency:
    """Run a request once, however often it comes with the same key.

    Only answers below 400 are stored, without their `Set-Cookie`. A key counts for one caller and
    one route only.

    Args:
        session: The annotated dependency of the transaction that the endpoint writes in, such
            as `database.Tx`, or `database.SyncTx` in `def` routes. It must close before the
            response is sent (`scope="function"`), and hold back other writers from its start
            where the database has one writer (SQLite: `BEGIN IMMEDIATE`).
        ttl: How long an answer is stored.
        wait: How long a repeat waits for the first request before it is answered 409.
        max_bytes: The largest body that is stored. A larger body, or a stream, is an error that
            rolls the effects back (`CannotKeep`, 500): a repeat would make them twice.
        caller: Return the name of the client that sent a request.
        clock: Return the time, with its time zone; for tests.

    Raises:
        TypeError: `session` is no dependency that can keep the promise, or `ttl`, `wait` or
            `max_bytes` is of another type.
        ValueError: An argument is out of its range.
    """

    def __init__(
        self,
        session: Any,
        *,
        ttl: timedelta = timedelta(hours=24),
        wait: timedelta = timedelta(seconds=2),
        max_bytes: int = 1024 * 1024,
        caller: Callable[[Request], str] = by_authorization,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        check_duration("ttl", ttl, above_zero=True)
        check_duration("wait", wait)
        check_size("max_bytes", max_bytes)
        self._source = judge(session)
        self.session, self.ttl, self.wait, self.max_bytes = session, ttl, wait, max_bytes
        self.caller, self.clock = caller, clock
        self._locks = KeyedLock()
        self.key: params.Depends = Depends(self._claiming(), scope="function")
        """Accepts a key, if the client sends one: `Annotated[Key | None, once.key]`."""
        self.required: params.Depends = Depends(_requiring(self))
        """Demands a key, and answers 400 without one: `Annotated[Key, once.required]`."""

    async def _attempt(
        self, request: Request, idempotency_key: _KeyHeader = None
    ) -> AsyncGenerator[_Attempt | None]:
        # This is a dependency of its own, so that all waiting for this process, and for
        # the client's body, happens before the session holds a connection.
        if idempotency_key is None or not _counts(request):
            yield None
            return
        key = read_key(", ".join(request.headers.getlist("idempotency-key")))
        until = asyncio.get_running_loop().time() + self.wait.total_seconds()
        route = _route(request)
        key_id = digest(self.caller(request), route, key.value)
        fingerprint = await fingerprint_of(request)
        attempt = _Attempt(key, key_id, route, fingerprint, until)
        async with self._locks.take(key_id, until=until):
            yield attempt

    async def _seen(self, session: Any, attempt: _Attempt) -> Kept | None:
        """Return a stored answer that the session could read only after SQLite's writer."""
        own = sync_session_of(session)
        seen = None if own is None else await glance(own, attempt.id)
        if seen is None or seen.expires_at_ms <= answers_table.milliseconds(self.clock()):
            return None
        if seen.fingerprint != attempt.fingerprint:
            raise IdempotencyKeyReused
        return seen.kept

    def _claiming(self) -> Callable[..., AsyncGenerator[Key | None]]:
        guarding = self._guarding()

        @problems.raises(IdempotencyKeyInvalid, IdempotencyKeyReused, IdempotencyInProgress)
        async def claim(
            request: Request,
            attempt: Annotated[_Attempt | None, Depends(self._attempt, scope="function")],
            session: Any,
            guard: Annotated[TransactionGuard | None, Depends(guarding, scope="function")],
        ) -> AsyncGenerator[Key | None]:
            if attempt is None or guard is None:
                yield None
                return
            _check_hooked(request)
            if kept := await self._seen(session, attempt):
                raise _again(kept, attempt, guard)
            connection = await awaitable(session).connection()
            guard.watch(connection.sync_connection)
            if kept := await self._claim(connection, attempt, request):
                raise _again(kept, attempt, guard)
            forget = partial(answers_table.forget, connection, attempt.id)
            guard.hold(connection.sync_connection, forget)
            yield attempt.key
            await self._keep(connection, attempt, request, guard)

        claim.__annotations__["session"] = self.session
        # Other dependencies may use the session before, such as one that looks up the caller.
        companion = _fastapi.Companion(self._source.dependant, guarding, apart=_APART)
        return companion.declare_on(amends_openapi(_document)(claim))

    def _guarding(self) -> Callable[..., AsyncGenerator[TransactionGuard | None]]:
        async def guarding(
            request: Request, session: Any
        ) -> AsyncGenerator[TransactionGuard | None]:
            if "idempotency-key" not in request.headers or not _counts(request):
                yield None
                return
            guard = TransactionGuard(sync_session_of(session))
            _fastapi.when_closed(request, guard.close)
            try:
                yield guard
                guard.finish()
            except Exception as error:
                fault = guard.fault_of(error)
                guard.undo()
                if fault is None or fault is error:
                    raise
                raise fault from error
            except BaseException:
                guard.undo()
                raise

        guarding.__annotations__["session"] = self.session
        return guarding

    async def _claim(
        self, connection: AsyncConnection, attempt: _Attempt, request: Request
    ) -> Kept | None:
        """Hold the key until the transaction ends, and return its stored answer, if any."""
        await lock(connection, attempt.id, until=attempt.until)
        if await self._write_claim(connection, attempt, request):
            return None
        row = await answers_table.find(connection, attempt.id)
        if row is None or row.expires_at_ms <= answers_table.milliseconds(self.clock()):
            await answers_table.forget(connection, attempt.id)
            await self._write_claim(connection, attempt, request)
            return None
        if row.fingerprint != attempt.fingerprint:
            raise IdempotencyKeyReused
        if not row.status:
            raise TransactionEnded(_NO_ANSWER)
        return Kept(row.status, row.headers, row.body)

    async def _write_claim(
        self, connection: AsyncConnection, attempt: _Attempt, request: Request
    ) -> bool:
        try:
            return await answers_table.claim(
                connection,
                attempt.id,
                route=attempt.route,
                fingerprint=attempt.fingerprint,
                expires=self.clock() + self.ttl,
            )
        except DBAPIError as error:
            # The transaction's snapshot is older than the lock (REPEATABLE READ), or there
            # was no lock: another request was first. A new run finds its answer.
            if request.scope.get(_RAN_AGAIN) or not _came_second(error):
                raise
            request.scope[_RAN_AGAIN] = True
            raise _fastapi.Again(pause=0) from None

    async def _keep(
        self,
        connection: AsyncConnection,
        attempt: _Attempt,
        request: Request,
        guard: TransactionGuard,
    ) -> None:
        """Store the answer with its effects, before the commit."""
        response = _fastapi.response_of(request)
        if response is None or response.status_code >= _FIRST_FAILURE:
            guard.undo()
            return
        guard.check()
        await answers_table.keep(connection, attempt.id, keep(response, max_bytes=self.max_bytes))
        guard.release()


def _again(kept: Kept, attempt: _Attempt, guard: TransactionGuard) -> _fastapi.Answer:
    """Return the exception that ends a repeat with the stored answer."""
    guard.undo()
    replayed(attempt.route)
    return _fastapi.Answer(kept.response())


def _counts(request: Request) -> bool:
    return request.method in METHODS


def _came_second(error: DBAPIError) -> bool:
    return isinstance(error, IntegrityError) or getattr(error.orig, "sqlstate", "") == "40001"


def _requiring(once: Idempotency) -> Callable[..., Any]:
    @amends_openapi(_document_required)
    @problems.raises(IdempotencyKeyRequired)
    async def require(key: Annotated[Key | None, once.key]) -> Key:
        if key is None:
            raise IdempotencyKeyRequired
        return key

    return require


def _route(request: Request) -> str:
    path = getattr(_fastapi.route_of(request.scope), "path", request.scope["path"])
    return f"{request.method} {request.scope.get('root_path', '')}{path}"


def _check_hooked(request: Request) -> None:
    if not _fastapi.is_hooked(request):
        raise RuntimeError(
            "Idempotency must see the response of this route before it is sent, and nothing has "
            "prepared it. Where the application is made, add FastAPI(lifespan=lifespan(...)) or "
            "problems.install(app). Where that is done, the route belongs to a mounted "
            "application, which needs its own, or was added after the start."
        )


def _document(operation: dict[str, Any], _schemas: dict[str, Any]) -> None:
    for status, response in operation.get("responses", {}).items():
        if status.startswith("2"):
            response.setdefault("headers", {}).setdefault(REPLAYED, _REPLAYED_HEADER)


def _document_required(operation: dict[str, Any], _schemas: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter["name"] == "Idempotency-Key":
            parameter["required"] = True


_APART: Final = (
    "{route} takes the session of Idempotency() in another scope, or without the cache: what it "
    "writes is in another transaction than its key. Use one annotation for all of it: "
    'Annotated[AsyncSession, Depends(your_session, scope="function")].'
)
_NO_ANSWER: Final = (
    "An earlier request with this Idempotency-Key has committed what it wrote without its "
    "answer: by SQL of its own, or on the driver's connection. It is not done again. Let the "
    "session's dependency commit."
)
_REPLAYED_HEADER: Final = {
    "description": "`true` where the answer is that of an earlier request with the same key.",
    "schema": {"type": "string", "enum": ["true"]},
}

"""`Idempotency`: the dependency that claims a key, and keeps the answer."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from inspect import isasyncgenfunction, isgeneratorfunction
from typing import Annotated, Any, Final, TypeAlias, get_args

from fastapi import Depends, Header, Request, params
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from roadworthy import _fastapi, problems
from roadworthy.idempotency import _answers as answers
from roadworthy.idempotency._errors import (
    IdempotencyInProgress,
    IdempotencyKeyInvalid,
    IdempotencyKeyRequired,
    IdempotencyKeyReused,
)
from roadworthy.idempotency._fingerprint import digest, fingerprint_of
from roadworthy.idempotency._kept import REPLAYED, Kept, keep
from roadworthy.idempotency._key import PATTERN, Key, read_key
from roadworthy.idempotency._observe import replayed
from roadworthy.idempotency._turns import Turns, lock
from roadworthy.problems.declare import amends_openapi

__all__ = ["Idempotency", "by_authorization"]

METHODS: Final = frozenset({"POST", "PATCH"})
"""On other methods, which are idempotent by themselves (RFC 9110 §9.2.2), keys mean nothing."""

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
    """Tell callers apart by `Authorization`; those without one are one caller."""
    return request.headers.get("authorization", "")


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One request that came with a key."""

    key: Key
    id: str
    route: str
    fingerprint: str
    until: float
    """When to stop waiting for another one, in the event loop's time."""


class Idempotency:
    """Do what a request asks for once, however often it comes with the same key.

    `session` is the annotated dependency of the transaction that the endpoint writes
    in, such as `database.Tx`. It must close before the response is sent
    (`scope="function"`), and hold back other writers from its start where the database
    has one writer (SQLite: `BEGIN IMMEDIATE`).

    `ttl` is how long an answer is kept; `wait` how long a repeat waits for the first
    before it is answered 409; `max_bytes` bounds the body that is kept: a larger one,
    or a stream, is an error that undoes the effects (`CannotKeep`, 500), because an
    answer that is not kept would let the effects happen twice. `caller` tells callers
    apart: a key means nothing for another caller, or on another route.

    Only answers below 400 are kept. Their `Set-Cookie` is not.
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
        _check(session)
        self.session, self.ttl, self.wait, self.max_bytes = session, ttl, wait, max_bytes
        self.caller, self.clock = caller, clock
        self._turns = Turns()
        self.key: params.Depends = Depends(self._claiming(), scope="function")
        """Takes a key where the client sends one: `Annotated[Key | None, once.key]`."""
        self.required: params.Depends = Depends(_requiring(self))
        """Answers 400 where the client sends none: `Annotated[Key, once.required]`."""

    async def _attempt(
        self, request: Request, idempotency_key: _KeyHeader = None
    ) -> AsyncGenerator[_Attempt | None]:
        # This is a dependency of its own so that all waiting for this process, and for
        # the client's body, happens before the session holds a connection.
        if idempotency_key is None or request.method not in METHODS:
            yield None
            return
        key = read_key(", ".join(request.headers.getlist("idempotency-key")))
        until = asyncio.get_running_loop().time() + self.wait.total_seconds()
        route = _route(request)
        key_id = digest(self.caller(request), route, key.value)
        fingerprint = await fingerprint_of(request)
        async with self._turns.take(key_id, until=until):
            yield _Attempt(key, key_id, route, fingerprint, until)

    def _claiming(self) -> Callable[..., AsyncGenerator[Key | None]]:
        @problems.raises(IdempotencyKeyInvalid, IdempotencyKeyReused, IdempotencyInProgress)
        async def claim(
            request: Request,
            attempt: Annotated[_Attempt | None, Depends(self._attempt, scope="function")],
            session: Any,
        ) -> AsyncGenerator[Key | None]:
            if attempt is None:
                yield None
                return
            _check_hooked(request)
            connection = await session.connection()
            if kept := await self._claim(connection, attempt):
                replayed(attempt.route)
                raise _fastapi.Answer(kept.response())
            yield attempt.key
            await self._keep(connection, attempt, request)

        claim.__annotations__["session"] = self.session
        return amends_openapi(_document)(claim)

    async def _claim(self, connection: AsyncConnection, attempt: _Attempt) -> Kept | None:
        """Hold the key until the transaction ends; return its answer if there is one."""
        await lock(connection, attempt.id, until=attempt.until)
        row = await answers.find(connection, attempt.id)
        if row is None:
            return None
        if row.expires_at_ms <= answers.milliseconds(self.clock()):
            await answers.forget(connection, attempt.id)
            return None
        if row.fingerprint != attempt.fingerprint:
            raise IdempotencyKeyReused
        return Kept(row.status, row.headers, row.body)

    async def _keep(self, connection: AsyncConnection, attempt: _Attempt, request: Request) -> None:
        """Store the answer beside its effects, before they are committed."""
        response = _fastapi.response_of(request)
        if response is None or response.status_code >= _FIRST_FAILURE:
            return
        try:
            await answers.insert(
                connection,
                keep(response, max_bytes=self.max_bytes),
                key_id=attempt.id,
                route=attempt.route,
                fingerprint=attempt.fingerprint,
                expires=self.clock() + self.ttl,
            )
        except IntegrityError:
            # The transaction's snapshot is older than the lock (REPEATABLE READ), or there
            # was no lock: another one was first. Undo, and find its answer in a new run.
            if request.scope.get(_RAN_AGAIN):
                raise
            request.scope[_RAN_AGAIN] = True
            raise _fastapi.Again(pause=0) from None


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


def _check(session: Any) -> None:
    for found in get_args(session)[1:]:
        if isinstance(found, params.Depends):
            call = found.dependency
            yields = isasyncgenfunction(call) or isgeneratorfunction(call)
            if yields and found.scope != "function":
                break
            return
    raise TypeError(
        "Idempotency() takes the session's annotated dependency, which closes before the "
        'response: Idempotency(Annotated[AsyncSession, Depends(your_session, scope="function")]).'
    )


def _check_hooked(request: Request) -> None:
    if not _fastapi.is_hooked(request):
        raise RuntimeError(
            "Idempotency needs to see responses before they are sent. Where the application "
            "is made, add FastAPI(lifespan=lifespan(...)) or problems.install(app)."
        )


def _document(operation: dict[str, Any], _schemas: dict[str, Any]) -> None:
    for status, response in operation.get("responses", {}).items():
        if status.startswith("2"):
            response.setdefault("headers", {}).setdefault(REPLAYED, _REPLAYED_HEADER)


def _document_required(operation: dict[str, Any], _schemas: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter["name"] == "Idempotency-Key":
            parameter["required"] = True


_REPLAYED_HEADER: Final = {
    "description": "`true` where the answer is that of an earlier request with the same key.",
    "schema": {"type": "string", "enum": ["true"]},
}

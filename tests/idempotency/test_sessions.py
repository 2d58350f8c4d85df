"""Which sessions `Idempotency(...)` takes is known when they are declared."""

import functools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Annotated, Any, TypeVar

import pytest
import sqlalchemy as sa
import sqlmodel
from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session
from sqlmodel.ext.asyncio.session import AsyncSession as SQLModelSession

from roadworthy.database import Read, SyncRead, SyncTx, Tx, sync_transaction, transaction
from roadworthy.idempotency import Idempotency

F = TypeVar("F", bound=Callable[..., Any])


async def late() -> AsyncGenerator[AsyncSession]:
    yield AsyncSession()


def late_and_sync() -> Generator[AsyncSession]:
    yield AsyncSession()


async def untyped():  # type: ignore[no-untyped-def] # as some write it
    yield AsyncSession()


class Sessions:
    async def __call__(self) -> AsyncIterator[AsyncSession]:
        yield AsyncSession()


class Inherited(Sessions):
    """What it does is written elsewhere."""


class WithArguments:
    def __init__(self, url: str) -> None:
        self.url = url

    async def __call__(self, request: Request, tenant: str = "a") -> AsyncGenerator[AsyncSession]:
        yield AsyncSession()


class Methods:
    async def session(self) -> AsyncGenerator[AsyncSession]:
        yield AsyncSession()

    @staticmethod
    async def static() -> AsyncGenerator[AsyncSession]:
        yield AsyncSession()

    @classmethod
    async def of_the_class(cls) -> AsyncGenerator[AsyncSession]:
        yield AsyncSession()


def traced(function: F) -> F:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper  # type: ignore[return-value] # as wrappers are


async def of(name: str) -> AsyncGenerator[AsyncSession]:
    yield AsyncSession()


GENERATORS: dict[str, Callable[..., Any]] = {
    "function": late,
    "sync function": late_and_sync,
    "untyped": untyped,
    "object": Sessions(),
    "inherited": Inherited(),
    "with arguments": WithArguments("sqlite://"),
    "method": Methods().session,
    "static method": Methods.static,
    "class method": Methods.of_the_class,
    "partial": functools.partial(of, "a"),
    "partial of a partial": functools.partial(functools.partial(of, name="a")),
    "partial of an object": functools.partial(Sessions()),
    "decorated": traced(late),
    "decorated twice": traced(traced(late)),
    "decorated partial": traced(functools.partial(of, "a")),
}


@pytest.mark.parametrize("call", GENERATORS.values(), ids=GENERATORS)
@pytest.mark.parametrize("scope", [None, "request"])
def test_what_closes_after_the_response_is_refused(call: Any, scope: Any) -> None:
    with pytest.raises(TypeError, match=r'write Annotated\[AsyncSession, Depends\(.*"function"'):
        Idempotency(Annotated[AsyncSession, Depends(call, scope=scope)])


@pytest.mark.parametrize("call", GENERATORS.values(), ids=GENERATORS)
@pytest.mark.parametrize("kind", [AsyncSession, SQLModelSession, Any, AsyncSession | None])
def test_what_closes_in_time_is_taken(call: Any, kind: Any) -> None:
    Idempotency(Annotated[kind, Depends(call, scope="function")])


@pytest.mark.parametrize("call", GENERATORS.values(), ids=GENERATORS)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_session_that_is_passed_on_is_judged_where_it_comes_from(call: Any, steps: int) -> None:
    for scope in (None, "function"):
        dependency: Any = Depends(call, scope=scope)
        for _ in range(steps):
            dependency = Depends(_passing_on(dependency))
        passed: Any = Annotated[AsyncSession, dependency]
        if scope is None:
            with pytest.raises(TypeError, match='scope="function"'):
                Idempotency(passed)
        else:
            Idempotency(passed)


def _passing_on(dependency: Any) -> Any:
    async def passing(session: Annotated[AsyncSession, dependency]) -> AsyncSession:
        return session

    return passing


class Repository:
    def __init__(self, session: Annotated[AsyncSession, Depends(late)]) -> None:
        self.session = session


class Unit:
    session: AsyncSession


async def unit() -> AsyncGenerator[Unit]:
    yield Unit()


def of_a_repository(repository: Annotated[Repository, Depends()]) -> AsyncSession:
    return repository.session


def of_a_unit(found: Annotated[Unit, Depends(unit)]) -> AsyncSession:
    return found.session


def of_a_default(session=Depends(late)):  # type: ignore[no-untyped-def] # noqa: B008 - older style
    return session


@pytest.mark.parametrize("call", [of_a_repository, of_a_unit, of_a_default])
def test_a_session_inside_of_something_that_ends_late_is_refused(call: Any) -> None:
    with pytest.raises(TypeError, match='scope="function"'):
        Idempotency(Annotated[AsyncSession, Depends(call)])


class Client:
    """Something that has to be closed, and is no session."""


async def client() -> AsyncGenerator[Client]:
    yield Client()


def of_the_request(request: Request, used: Annotated[Client, Depends(client)]) -> AsyncSession:
    session: AsyncSession = request.state.session
    return session


def beside_a_client(
    session: Annotated[AsyncSession, Depends(late, scope="function")],
    used: Annotated[Client, Depends(client)],
) -> AsyncSession:
    return session


async def in_a_unit(
    session: Annotated[AsyncSession, Depends(late)],
) -> AsyncGenerator[AsyncSession]:
    async with session.begin():
        yield session


def made_here() -> AsyncSession:
    return AsyncSession()


@pytest.mark.parametrize(
    "dependency",
    [
        Depends(of_the_request),
        Depends(beside_a_client),
        Depends(in_a_unit, scope="function"),
        Depends(made_here),
    ],
)
def test_what_a_session_has_beside_it_does_not_matter(dependency: Any) -> None:
    Idempotency(Annotated[AsyncSession, dependency])


def passed_on(tx: SyncTx) -> Session:
    return tx


@pytest.mark.parametrize(
    "session",
    [
        *(Tx, Read, SyncTx, SyncRead),
        Annotated[AsyncSession, transaction(attempts=2)],
        Annotated[sqlmodel.Session, sync_transaction(session=sqlmodel.Session)],
        Annotated[Session, Depends(passed_on)],
    ],
)
def test_sessions_of_the_library_are_taken(session: Any) -> None:
    Idempotency(session)


def _giving(kind: Any, *, yields: bool) -> Any:
    def give() -> Any:
        return kind

    def giving() -> Iterator[Any]:
        yield kind

    made: Any = giving if yields else give
    made.__annotations__["return"] = Iterator[kind] if yields else kind
    return made


class OwnSession(Session):
    """A class of an application."""


SYNC = [
    *(Session, OwnSession, sqlmodel.Session, scoped_session, scoped_session[Session]),
    *(sa.Connection, sa.Engine, AsyncConnection, str),
]


@pytest.mark.parametrize("kind", SYNC)
@pytest.mark.parametrize("yields", [True, False])
@pytest.mark.parametrize("shown", [True, False])
def test_what_cannot_be_awaited_is_refused(kind: Any, yields: bool, shown: bool) -> None:
    """Also where the annotation of the parameter says nothing, or something else."""
    call = _giving(kind, yields=yields)
    for annotated in (kind,) if shown else (Any, AsyncSession):
        with pytest.raises(TypeError, match=r"needs an AsyncSession, and .* is none.*SyncTx"):
            Idempotency(Annotated[annotated, Depends(call, scope="function")])


@pytest.mark.parametrize("kind", [AsyncSession, SQLModelSession, async_scoped_session])
@pytest.mark.parametrize("yields", [True, False])
def test_what_can_be_awaited_is_taken(kind: Any, yields: bool) -> None:
    for annotated in (kind, Any):
        Idempotency(Annotated[annotated, Depends(_giving(kind, yields=yields), scope="function")])


def test_a_sync_session_that_is_passed_on_is_refused() -> None:
    def legacy() -> Generator[Session]:
        yield Session()

    from_legacy = Depends(legacy, scope="function")

    def passing(session=from_legacy):  # type: ignore[no-untyped-def]
        return session

    with pytest.raises(TypeError, match="AsyncSession"):
        Idempotency(Annotated[Any, Depends(passing)])


def test_a_session_that_is_not_shared_is_refused() -> None:
    own = Annotated[AsyncSession, Depends(late, scope="function", use_cache=False)]

    with pytest.raises(TypeError, match="use_cache=False"):
        Idempotency(own)


@pytest.mark.parametrize("given", [late, AsyncSession, Annotated[AsyncSession, "no dependency"]])
def test_what_is_no_annotated_dependency_is_refused(given: Any) -> None:
    with pytest.raises(TypeError, match=r"annotated dependency.*scope=\"function\""):
        Idempotency(given)

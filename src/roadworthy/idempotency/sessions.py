"""Check the session of `Idempotency(...)` where it is declared.

A session is refused if it could never keep the promise: one that closes, and so commits, after the
response has been sent, and one that cannot be awaited and has no `AsyncSession` behind it, as a
`SyncTx` has, in the same transaction.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Final, NamedTuple, cast, get_args, get_origin

from fastapi import params
from fastapi.dependencies.models import Dependant
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_session
from sqlalchemy.orm import Session

from roadworthy import _fastapi
from roadworthy._sync_or_async import is_for_sync_routes
from roadworthy.idempotency.session_types import can_await, given_by, is_of_no_type, taken_as

__all__ = ["Source", "awaitable", "judge", "sync_session_of"]


class Source(NamedTuple):
    """A dependency whose value is a session, as it was declared."""

    annotation: Any
    dependant: Dependant


def judge(session: Any) -> Source:
    """Return the dependency of an annotated session, if it is fit.

    Raises:
        TypeError: The session closes after the response, or is no `AsyncSession`.
    """
    kind, depends = _declared(session)
    tree = _fastapi.tree_of(depends)
    _refuse_what_cannot_be_awaited(kind, tree)
    if not depends.use_cache:
        raise TypeError(_NOT_SHARED.format(name=_name(tree)))
    if late := _late(tree):
        raise TypeError(_LATE.format(name=_name(late)))
    return Source(session, tree)


def awaitable(session: Any) -> Any:
    """Return the session to await: that behind a `Session`, if it has one."""
    behind = async_session(session) if isinstance(session, Session) else None
    return behind or session


def sync_session_of(session: Any) -> Session | None:
    """Return the session that does the work, None if a class of the user hides it.

    Raises:
        TypeError: The session cannot be awaited.
    """
    here = cast("object", session() if _is_scoped(session) else awaitable(session))
    if isinstance(here, AsyncSession):
        return here.sync_session
    if not can_await(type(here)):
        raise TypeError(_CANNOT_AWAIT.format(kind=type(here).__name__))
    return None


def _is_scoped(session: object) -> bool:
    return isinstance(session, async_scoped_session)


def _declared(session: Any) -> tuple[Any, params.Depends]:
    session = getattr(session, "__value__", session)  # of `type Db = Annotated[...]`
    if get_origin(session) is Annotated:
        kind, *metadata = get_args(session)
        for found in metadata:
            if isinstance(found, params.Depends):
                return kind, found if found.dependency else params.Depends(kind, scope=found.scope)
    raise TypeError(_SHAPE)


def _refuse_what_cannot_be_awaited(kind: Any, tree: Dependant) -> None:
    if _has_one_behind(tree):
        return
    for classes in (taken_as(kind), given_by(tree.call)):
        if classes and not any(is_of_no_type(each) or can_await(each) for each in classes):
            raise TypeError(_CANNOT_AWAIT.format(kind=classes[0].__name__))
    if not _fastapi.yields(tree) and not taken_as(kind) and not given_by(tree.call):
        passed = [each for _, classes in _yielding(tree) for each in classes]
        sync = [each for each in passed if issubclass(each, Session)]
        if sync and not any(can_await(each) for each in passed):
            raise TypeError(_CANNOT_AWAIT.format(kind=sync[0].__name__))


def _has_one_behind(dependant: Dependant) -> bool:
    return is_for_sync_routes(dependant.call) or any(map(_has_one_behind, dependant.dependencies))


def _late(tree: Dependant) -> Dependant | None:
    """Return the dependency that commits after the response, if there is one."""
    if _fastapi.yields(tree):
        return tree if _fastapi.closes_late(tree) else None
    # The dependency makes the session, or passes on that of another one or of the request.
    behind = list(_yielding(tree))
    in_time = any(
        not _fastapi.closes_late(each) and any(map(can_await, classes)) for each, classes in behind
    )
    for each, classes in behind:
        if not _fastapi.closes_late(each):
            continue
        elsewhere = in_time or (classes and _takes_request(tree))
        if any(map(can_await, classes)) or not elsewhere:
            return each
    return None


def _yielding(dependant: Dependant) -> Iterator[tuple[Dependant, tuple[type, ...]]]:
    """Yield the nearest dependencies that end after the endpoint, with their values."""
    for child in dependant.dependencies:
        if _fastapi.yields(child):
            taken = taken_as(_fastapi.annotation_of(dependant, child))
            yield child, taken or given_by(child.call)
        else:
            yield from _yielding(child)


def _takes_request(dependant: Dependant) -> bool:
    named = dependant.request_param_name or dependant.http_connection_param_name
    return named is not None or any(map(_takes_request, dependant.dependencies))


def _name(dependant: Dependant) -> str:
    call: Any = _fastapi.unwrapped(dependant.call) if dependant.call else None
    return getattr(call, "__qualname__", None) or f"{type(call).__name__}(...)"


_SHAPE: Final = (
    "Idempotency() takes the session's annotated dependency, which closes before the "
    'response: Idempotency(Annotated[AsyncSession, Depends(your_session, scope="function")]).'
)
_LATE: Final = (
    "{name} ends when the response has been sent, so that its commit could fail after a 201. "
    "Idempotency() takes a session that closes before: wherever it is a dependency, write "
    'Annotated[AsyncSession, Depends({name}, scope="function")].'
)
_NOT_SHARED: Final = (
    "Depends({name}, use_cache=False) gives the endpoint another session than the one that "
    'holds the key. Write Depends({name}, scope="function").'
)
_CANNOT_AWAIT: Final = (
    "Idempotency() needs an AsyncSession, and {kind} is none. Give it the annotated dependency "
    "of one, made with create_async_engine and async_sessionmaker: "
    'Annotated[AsyncSession, Depends(your_session, scope="function")]. '
    "For `def` routes: Idempotency(SyncTx), from roadworthy.database."
)

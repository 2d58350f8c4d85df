"""Parts of a service: opened at its start, found by type, closed at its stop.

A *part* is any async context manager: a `Database`, an `httpx.AsyncClient()`,
the result of a function under `@asynccontextmanager`.

    app = FastAPI(lifespan=lifespan(Database("sqlite:///app.db"), httpx.AsyncClient()))

An existing application keeps its own lifespan and adopts ours beside it:

    app.include_router(APIRouter(lifespan=lifespan(Database("sqlite:///app.db"))))
"""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Final, Protocol, TypeAlias, TypeVar, cast

from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute

from roadworthy import _fastapi, _hook_check
from roadworthy._route_hook import hook_routes
from roadworthy._sync_or_async import check_sync_or_async

__all__ = ["Lifespan", "PartAmbiguous", "PartMissing", "find", "lifespan", "needs"]

P = TypeVar("P")
F = TypeVar("F", bound=Callable[..., Any])
_Need: TypeAlias = tuple[type[object], str | None]

_KEY: Final = "roadworthy_parts"
_SEVERAL: Final = 2
_NEEDS: Final = "__roadworthy_needs__"
_HOW_TO_NAME: Final = {
    "Database": " A route takes Annotated[AsyncSession, transaction(database='other')], or "
    "reading(database='other')."
}


class PartMissing(LookupError):
    """A dependency looked for a part that no `lifespan(...)` has opened."""

    def __init__(
        self, kind: type[object], *, name: str | None = None, routes: tuple[str, ...] = ()
    ) -> None:
        needed = f", which {' and '.join(routes)} needs" if routes else ""
        called = "" if name is None else f" named {name!r}"
        made = f"{kind.__name__}(...{'' if name is None else f', name={name!r}'})"
        super().__init__(
            f"No {kind.__name__}{called} is open{needed}. Add it where the application is made: "
            f"FastAPI(lifespan=lifespan({made})), or to an application that has "
            "a lifespan already: app.include_router(APIRouter("
            f"lifespan=lifespan({made}))). In a test, enter the lifespan: "
            "`with TestClient(app) as client`."
        )
        self.kind = kind
        self.name = name


class PartAmbiguous(LookupError):
    """A dependency looked for the one part of a type, and several are open."""

    def __init__(
        self, kind: type[object], names: list[str | None], *, routes: tuple[str, ...] = ()
    ) -> None:
        where = f" {' and '.join(routes)} does not say which one is meant." if routes else ""
        there = ", ".join("one without a name" if name is None else repr(name) for name in names)
        super().__init__(
            f"Several {kind.__name__} are open ({there}), and which one is meant is not said."
            f"{where} Give all but one a name, {kind.__name__}(..., name='other'), and ask for "
            f"that: find(request, {kind.__name__}, name='other')."
            + _HOW_TO_NAME.get(kind.__name__, "")
        )
        self.kind = kind


class Lifespan(Protocol):
    """A lifespan for `FastAPI(lifespan=...)` and `APIRouter(lifespan=...)`."""

    def __call__(self, app: Any, /) -> AbstractAsyncContextManager[Mapping[str, Any]]:
        """Open the parts for as long as the context lasts."""
        ...


def lifespan(*parts: AbstractAsyncContextManager[object]) -> Lifespan:
    """Open `parts` from left to right, and close them from right to left.

    An application can be started again, as tests do with one that stands in a module: each
    start opens them anew. Once the last lifespan of the application has opened its parts,
    every route's dependencies are checked.

    Raises:
        PartMissing: At start-up, when a dependency that says so with `needs` finds no such part.
        TypeError: At start-up, when a `def` route takes what must be awaited, as a `Tx`.
    """
    return _Lifespan(parts)


def find(connection: HTTPConnection, kind: type[P], *, name: str | None = None) -> P:
    """Return the open part of this type, for the application that serves `connection`.

    Of several that can have a name, as a `Database` can, it is the one of this `name`; without
    a name, it is the one that has none.

    Raises:
        PartMissing: No such part is open; its text has the line of code to add.
        PartAmbiguous: Several are, and `name` does not say which.
    """
    for parts in _places(connection):
        if found := _chosen(parts, kind, name):
            return found
    raise PartMissing(kind, name=name)


def needs(*kinds: type[object], name: str | None = None) -> Callable[[F], F]:
    """Declare that a dependency will look for these parts, so that start-up can check."""

    def declare(dependency: F) -> F:
        setattr(dependency, _NEEDS, tuple((kind, name) for kind in kinds))
        return dependency

    return declare


def _openable(part: AbstractAsyncContextManager[object]) -> AbstractAsyncContextManager[object]:
    """Return a part as it was made, where it opens once by itself.

    What a function under `@asynccontextmanager` returns is used up by its first start; the
    standard library can make it anew, as it does where such a function is a decorator.
    """
    remake = getattr(part, "_recreate_cm", None)
    if remake is None or not hasattr(part, "gen"):
        return part
    try:
        return cast("AbstractAsyncContextManager[object]", remake())
    except AttributeError:
        raise RuntimeError(
            f"{_name_of(part)} opens once, and has been opened already. Give lifespan() one "
            f"that nobody has entered: lifespan({_name_of(part)}(...))."
        ) from None


def _name_of(part: Any) -> str:
    frame = getattr(part.gen, "ag_code", None)
    return getattr(frame, "co_name", type(part).__name__)


class _Lifespan:
    def __init__(self, parts: tuple[AbstractAsyncContextManager[object], ...]) -> None:
        self.parts = parts

    @asynccontextmanager
    async def __call__(self, app: Starlette, /) -> AsyncGenerator[Mapping[str, Any]]:
        _hook_check.check_hooks()
        hook_routes(app)
        opened = _opened(app)
        async with AsyncExitStack() as stack:
            for part in self.parts:
                entered = await stack.enter_async_context(_openable(part))
                here = part if entered is None else entered
                opened.append(here)
                stack.callback(opened.remove, here)
            stack.enter_context(_Entered(app, self))
            yield {_KEY: opened}


class _Entered:
    """Note that a lifespan is open, and check the routes once none is still to come."""

    def __init__(self, app: Starlette, this: _Lifespan) -> None:
        self.app, self.this = app, this

    def __enter__(self) -> None:
        entered = _entered(self.app)
        entered.append(self.this)
        if all(other in entered for other in _lifespans_of(self.app.routes)):
            _check(self.app, _opened(self.app))

    def __exit__(self, *_: object) -> None:
        _entered(self.app).remove(self.this)


def _check(app: Starlette, opened: list[object]) -> None:
    needed: dict[_Need, set[str]] = {}
    for context in _fastapi.route_contexts(app):
        check_sync_or_async(context, getattr(app, "dependency_overrides", {}))
        for need in _needed(app, context):
            needed.setdefault(need, set()).add(str(context.path))
    for (kind, name), paths in needed.items():
        routes = tuple(sorted(paths)[:3])
        if _chosen(opened, kind, name, routes=routes) is None:
            raise PartMissing(kind, name=name, routes=routes)


def _chosen(
    parts: list[object], kind: type[P], name: str | None, *, routes: tuple[str, ...] = ()
) -> P | None:
    found = [part for part in parts if isinstance(part, kind)]
    if name is not None:
        return next((part for part in found if getattr(part, "name", None) == name), None)
    if len(found) < _SEVERAL or not all(hasattr(part, "name") for part in found):
        return found[0] if found else None
    names: list[str | None] = [getattr(part, "name", None) for part in found]
    if names.count(None) != 1:
        raise PartAmbiguous(kind, names, routes=routes)
    return found[names.index(None)]


def _needed(app: Any, context: Any) -> Iterator[_Need]:
    overrides: dict[Any, Any] = getattr(app, "dependency_overrides", {})
    for dependant in _fastapi.dependencies_of(context):
        call = overrides.get(dependant.call, dependant.call)
        yield from getattr(call, _NEEDS, ())


def _places(connection: HTTPConnection) -> Iterator[list[object]]:
    # The server's lifespan state reaches mounted applications too; the
    # application's own covers clients that pass no state, as in tests.
    state = cast("dict[str, Any]", connection.scope.get("state") or {})
    if _KEY in state:
        yield state[_KEY]
    if "app" in connection.scope:
        yield _opened(connection.scope["app"])


def _opened(app: Starlette) -> list[object]:
    return _list_on(app, _KEY)


def _entered(app: Starlette) -> list[_Lifespan]:
    return _list_on(app, "roadworthy_lifespans")


def _list_on(app: Starlette, name: str) -> list[Any]:
    if not hasattr(app.state, name):
        setattr(app.state, name, [])
    return cast("list[Any]", getattr(app.state, name))


def _lifespans_of(routes: list[BaseRoute]) -> Iterator[_Lifespan]:
    for router in _fastapi.included_routers(routes):
        if isinstance(router.lifespan_context, _Lifespan):
            yield router.lifespan_context

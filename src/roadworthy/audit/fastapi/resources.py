"""What a function opens and somebody must close: sessions, connections, clients."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from roadworthy.audit.source import names
from roadworthy.audit.source.flow import Event
from roadworthy.audit.source.module import Function
from roadworthy.audit.source.nodes import last_name, words
from roadworthy.audit.source.ref import Ref

__all__ = [
    "CLIENTS",
    "RELEASES",
    "Opened",
    "is_cached",
    "is_closeable",
    "may_be_closeable",
    "opened",
    "releases",
]

CLIENTS: Final = frozenset(
    {
        *("httpx.Client", "httpx.AsyncClient", "aiohttp.ClientSession", "requests.Session"),
        *("pymongo.MongoClient", "motor.motor_asyncio.AsyncIOMotorClient", "redis.Redis"),
        *("pymongo.AsyncMongoClient", "redis.asyncio.Redis", "elasticsearch.Elasticsearch"),
        *("elasticsearch.AsyncElasticsearch", "sqlalchemy.Engine"),
        "sqlalchemy.ext.asyncio.AsyncEngine",
    }
)
"""What has a pool of connections, and is made to be kept."""

_SESSIONS: Final = frozenset(
    {
        *("sqlalchemy.orm.Session", "sqlalchemy.ext.asyncio.AsyncSession"),
        *("sqlalchemy.Connection", "sqlalchemy.ext.asyncio.AsyncConnection"),
        *("sqlite3.Connection", "psycopg2.connection", "psycopg.Connection"),
        *("psycopg.AsyncConnection", "pymysql.Connection", "asyncpg.Connection"),
        "aiosqlite.Connection",
    }
)
"""What holds a connection."""

RELEASES: Final = frozenset(
    {"close", "aclose", "release", "disconnect", "dispose", "shutdown", "remove", "close_all"}
)
"""Methods that give back what something holds."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A name that a function gives something that it has opened."""

    name: str
    ref: Ref | None
    event: Event


def is_closeable(ref: Ref | None) -> bool:
    """Return whether something holds what is only given back when it is closed."""
    return ref is not None and ref.is_instance and names.is_a(ref, *_SESSIONS, *CLIENTS)


def may_be_closeable(ref: Ref | None, function: Function) -> bool:
    """Return whether something of the project's own seems to want closing."""
    if ref is None or ref.cls is None or not ref.is_instance:
        return False
    methods = {
        method.name for base in names.bases(ref.cls) if base.cls for method in base.cls.methods
    }
    opens = any(
        isinstance(call.node.func, ast.Attribute) and call.node.func.attr in {"connect", "open"}
        for call in function.flow.calls
    )
    return bool(methods & RELEASES) and (opens or bool(_NAMED.search(ref.cls.name)))


_NAMED: Final = re.compile(r"Session|Connection|Client|Pool")


def opened(function: Function) -> dict[str, Opened]:
    """Return what a function makes by a call, by the names that it gives them."""
    found: dict[str, Opened] = {}
    for event in function.flow.assigns:
        match event.node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=value)
            ) if value is not None and isinstance(_plain(value), ast.Call):
                found[name] = Opened(name, names.resolve(value, function), event)
            case _:
                pass
    return found


def _plain(value: ast.expr) -> ast.expr:
    return value.value if isinstance(value, ast.Await) else value


def releases(function: Function, name: str) -> Iterator[Event]:
    """Return the calls that close what a name stands for."""
    for call in function.flow.calls:
        match call.node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=attr)):
                if owner == name and attr in RELEASES:
                    yield call
            case ast.Call(args=[ast.Name(id=given), *_], func=func) if given == name:
                if words(last_name(func))[:1] in (["close"], ["release"], ["aclose"]):
                    yield call
            case _:
                pass


def is_cached(function: Function) -> bool:
    """Return whether a function runs once, and its result is used again."""
    return any(_keeps_result(one) for one in function.node.decorator_list)


def _keeps_result(decorator: ast.expr) -> bool:
    """Return whether a decorator says that it keeps what the function returns."""
    func = decorator.func if isinstance(decorator, ast.Call) else decorator
    named = words(last_name(func))
    return bool(_KEEPS.intersection(named)) and "no" not in named


_KEEPS: Final = frozenset(
    {"cache", "cached", "caches", "lru", "alru", "singleton", "memoize", "memoized", "once"}
)

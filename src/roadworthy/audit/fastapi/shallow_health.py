"""Whether a health route looks at anything that could be away."""

import ast
import re
from typing import Final

from roadworthy.audit.dataflow import reach
from roadworthy.audit.fastapi.routes import Route
from roadworthy.audit.source.module import Function, Module
from roadworthy.audit.source.nodes import walk
from roadworthy.audit.source.pins import service_root

__all__ = [
    "checks_nothing",
    "service_uses_dependency",
    "uses_dependency",
]

_DEPENDENCIES: Final = (
    rb"^\s*(?:from|import)\s+(?:sqlalchemy|sqlmodel|asyncpg|psycopg2?|pymongo|motor|beanie|peewee"
    rb"|tortoise|redis|aioredis|databases|edgedb|gel|pymysql|aiomysql|cassandra|elasticsearch"
    rb"|neo4j|odmantic|piccolo|ormar|prisma|django\.db|supabase|surrealdb|qdrant_client)\b"
)
_SILENT: Final = (
    *("builtins.", "datetime.", "time.", "os.", "platform.", "socket.gethostname", "importlib."),
    *("logging.", "uuid.", "starlette.responses.", "fastapi.Response", "starlette.status."),
    *("sys.", "typing.", "dataclasses.", "structlog.", "loguru.", "json.", "random."),
)
"""What a health route may call without looking at anything that could be away."""


def uses_dependency(source: bytes) -> bool:
    """Return whether a module talks to a database, a cache or a broker."""
    return re.search(_DEPENDENCIES, source, re.MULTILINE) is not None


def service_uses_dependency(module: Module) -> bool:
    """Return whether any file of a module's service talks to one, without reading it whole."""
    codebase = module.codebase
    here = service_root(codebase.root, module.path)
    using = codebase.mentioning(b"import", _DEPENDENCIES, near=module.path)
    return any(service_root(codebase.root, path) == here for path in using)


def checks_nothing(route: Route) -> bool:
    """Return whether a route answers the same whatever is away."""
    if any(one.function.flow.raises or _looks(one.function, 1) for one in route.dependencies):
        return False
    used = {node.id for node in walk(route.function.node) if isinstance(node, ast.Name)}
    if any(need.param is not None and need.param.name in used for need in route.needs):
        return False
    return not _looks(route.function, 1)


def _looks(function: Function, hops: int) -> bool:
    """Return whether a function asks something, or may fail."""
    flow = function.flow
    if flow.raises or flow.awaits or flow.handlers:
        return True
    return any(_may_ask(one, hops) for one in reach.calls(function))


def _may_ask(one: reach.Reached, hops: int) -> bool:
    ref = one.ref
    if ref is None:
        return not _is_plain(one.call.node)
    if ref.function is not None:
        return hops == 0 or _looks(ref.function, hops - 1)
    if ref.cls is not None:
        return False  # a model of the answer
    return not ref.name.startswith(_SILENT) and not ref.name.rpartition(".")[2][:1].isupper()


_PLAIN: Final = frozenset(
    {
        *("isoformat", "format", "strftime", "total_seconds", "get", "items", "join", "lower"),
        *("info", "debug", "warning", "model_dump", "dict", "timestamp", "split", "strip", "upper"),
    }
)


def _is_plain(call: ast.Call) -> bool:
    """Return whether a method of something unknown only turns values into others."""
    return isinstance(call.func, ast.Attribute) and call.func.attr in _PLAIN

"""Database sessions that a request keeps until its answer has been sent."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.fastapi.dependencies import Dependency, Need
from roadworthy.audit.fastapi.routes import Route
from roadworthy.audit.source import names
from roadworthy.audit.source.flow import Call
from roadworthy.audit.source.module import Function
from roadworthy.audit.source.nodes import mentions, root

__all__ = ["held_until_sent", "leaves_open", "yields_session"]

_SESSIONS: Final = frozenset(
    {
        *("sqlalchemy.orm.Session", "sqlalchemy.orm.scoped_session", "sqlalchemy.Connection"),
        *("sqlalchemy.ext.asyncio.AsyncSession", "sqlalchemy.ext.asyncio.AsyncConnection"),
        *("sqlalchemy.ext.asyncio.async_scoped_session", "sqlmodel.Session"),
        *("sqlmodel.ext.asyncio.session.AsyncSession", "psycopg2.connection"),
        *("psycopg.Connection", "psycopg.AsyncConnection", "asyncpg.Connection"),
        *("pymysql.Connection", "aiosqlite.Connection", "sqlite3.Connection"),
    }
)
"""What holds a connection of a pool from its first use on."""
_GIVES_BACK: Final = frozenset({"close", "aclose", "commit", "rollback"})
"""After these, a session holds no connection until it is used again."""


def held_until_sent(route: Route) -> Iterator[Dependency]:
    """Yield the dependencies that keep a connection while a route's answer is sent."""
    for dependency in route.dependencies:
        if yields_session(dependency) and _is_in_use(dependency, route):
            yield dependency


def yields_session(dependency: Dependency) -> bool:
    """Return whether a dependency lends a session, and ends after the answer."""
    function = dependency.function
    if dependency.scope == "function" or not function.is_generator:
        return False
    found = names.result_of(function)
    return found is not None and found.is_instance and names.is_a(found, *_SESSIONS)


def _is_in_use(dependency: Dependency, route: Route) -> bool:
    """Return whether somebody has used the session and has not given its connection back."""
    users = [(route.function, route.needs)]
    users += [(one.function, one.needs) for one in route.dependencies]
    states = [
        leaves_open(function, need.param.name)
        for function, needs in users
        for need in needs
        if need.param is not None and _is_of(need, dependency)
    ]
    return any(states) and states[0] is not False


def _is_of(need: Need, dependency: Dependency) -> bool:
    return need.dependency is not None and need.dependency.key == dependency.key


def leaves_open(function: Function, name: str) -> bool | None:
    """Return whether a function has used a session last to ask; None where it never has."""
    calls = [one for one in function.flow.calls if _uses(one, name)]
    if not calls:
        return None
    return not _gives_back(max(calls, key=_place), name)


def _place(call: Call) -> tuple[int, int]:
    return (call.node.end_lineno or 0, call.node.end_col_offset or 0)


def _uses(call: Call, name: str) -> bool:
    """Return whether a call is of a session, or is given one."""
    given = (*call.node.args, *(one.value for one in call.node.keywords))
    start = root(call.node.func)
    return (isinstance(start, ast.Name) and start.id == name) or any(
        mentions(one, name) for one in given
    )


def _gives_back(call: Call, name: str) -> bool:
    func = call.node.func
    return (
        isinstance(func, ast.Attribute)
        and func.attr in _GIVES_BACK
        and isinstance(func.value, ast.Name)
        and func.value.id == name
    )

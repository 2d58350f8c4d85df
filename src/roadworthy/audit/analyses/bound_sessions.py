"""Objects that are given a request's session, and have it in all of their methods."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.fastapi.dependencies import needs_of_class
from roadworthy.audit.source import names
from roadworthy.audit.source.memory import remembered
from roadworthy.audit.source.module import Assigned, Class, Function
from roadworthy.audit.source.ref import Ref

__all__ = ["SESSIONS", "is_given_session"]

SESSIONS: Final = (
    *("sqlalchemy.orm.Session", "sqlalchemy.ext.asyncio.AsyncSession", "sqlalchemy.Connection"),
    *("sqlalchemy.ext.asyncio.AsyncConnection", "asyncpg.Connection", "psycopg.AsyncConnection"),
    *("psycopg.Connection", "psycopg2.connection", "sqlite3.Connection", "aiosqlite.Connection"),
)
"""Classes of what works with a database for one request."""


def is_given_session(owner: Ref | None) -> bool:
    """Return whether an object keeps a session that whoever makes it hands over.

    That is an attribute of a controller with `Depends`, or a parameter of `__init__`.
    """
    if owner is None or owner.cls is None:
        return False
    classes = (base.cls for base in names.bases(owner.cls) if base.cls is not None)
    return any(_is_given(cls) for cls in classes)


@remembered
def _is_given(cls: Class) -> bool:
    return any(map(_is_session, _filled(cls))) or any(map(_is_session, _handed_over(cls)))


def _is_session(ref: Ref | None) -> bool:
    return ref is not None and ref.is_instance and names.is_a(ref, *SESSIONS)


def _filled(cls: Class) -> Iterator[Ref | None]:
    """Return what the attributes are that FastAPI fills for each request."""
    if any(needs_of_class(cls)):
        for name in cls.names:
            yield names.member(Ref(cls.name, cls, is_instance=True), name)


def _handed_over(cls: Class) -> Iterator[Ref | None]:
    """Return what `self.session = session` keeps of the parameters of `__init__`."""
    for bindings in cls.attributes.values():
        for assigned, method in bindings:
            if method.name == "__init__" and _is_param(assigned, method):
                yield names.resolve(assigned.value, method)


def _is_param(assigned: Assigned, method: Function) -> bool:
    value = assigned.value
    return isinstance(value, ast.Name) and method.param(value.id) is not None

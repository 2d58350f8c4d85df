"""Nulls of a request that are written where nothing is null.

The way is that of `omitted`, which follows what was sent as well as what was not.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from roadworthy.audit.analyses.patch_writes import Write, writes
from roadworthy.audit.dataflow.caught import types
from roadworthy.audit.dataflow.reach import Reached
from roadworthy.audit.dataflow.statuses import is_http_exception
from roadworthy.audit.fastapi.routes import Route
from roadworthy.audit.source import names
from roadworthy.audit.source.module import Function
from roadworthy.audit.source.nodes import walk

__all__ = ["NullWrite", "null_writes"]

_REFUSALS: Final = frozenset(
    f"{package}.IntegrityError"
    for package in (
        *("sqlalchemy.exc", "sqlalchemy", "tortoise.exceptions", "django.db", "peewee"),
        *("psycopg", "psycopg.errors", "psycopg2", "asyncpg", "sqlite3"),
    )
)


@dataclass(frozen=True, slots=True, eq=False)
class NullWrite:
    """A place where a null of the body is written to what is never null."""

    fields: frozenset[str]
    node: ast.AST
    scope: Function
    chain: tuple[Reached, ...]
    owner: str
    """The class of what is stored; empty for dicts."""
    is_answered: bool
    """Whether an `except IntegrityError` on the way answers with an error of the client."""


def null_writes(route: Route) -> Iterator[NullWrite]:
    """Yield where nulls of a route's bodies are written to what cannot be null."""
    for write in writes(route):
        fields = frozenset(one for one in write.nulls if write.takes_null(one) is False)
        if fields and write.target is not None:
            cls = write.target.cls
            owner = "" if cls is None else cls.name
            answered = any(map(_answers_refusals, (*_on_the_way(write), write.scope)))
            yield NullWrite(fields, write.node, write.scope, write.chain, owner, answered)


def _on_the_way(write: Write) -> Iterator[Function]:
    for one in write.chain:
        yield one.scope


def _answers_refusals(function: Function) -> bool:
    """Return whether a function catches what the database refuses, and raises an HTTPException."""
    return any(
        _is_refusal(handler, function) and _raises_http(handler, function)
        for handler in walk(function.node)
        if isinstance(handler, ast.ExceptHandler)
    )


def _is_refusal(handler: ast.ExceptHandler, function: Function) -> bool:
    return any(one is not None and one.name in _REFUSALS for one in types(handler, function))


def _raises_http(handler: ast.ExceptHandler, function: Function) -> bool:
    return any(
        isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and is_http_exception(names.resolve(node.exc.func, function))
        for node in walk(handler)
    )

"""Nulls of a request that are written where nothing is null.

The way is that of `omitted`, which follows what was sent as well as what was not.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from roadworthy.audit.analyses.patch_writes import writes
from roadworthy.audit.dataflow.reach import Reached
from roadworthy.audit.fastapi.routes import Route
from roadworthy.audit.source.module import Function

__all__ = ["NullWrite", "null_writes"]


@dataclass(frozen=True, slots=True, eq=False)
class NullWrite:
    """A place where a null of the body is written to what is never null."""

    fields: frozenset[str]
    node: ast.AST
    scope: Function
    chain: tuple[Reached, ...]
    owner: str
    """The class of what is stored; empty for dicts."""


def null_writes(route: Route) -> Iterator[NullWrite]:
    """Yield where nulls of a route's bodies are written to what cannot be null."""
    for write in writes(route):
        fields = frozenset(one for one in write.nulls if write.takes_null(one) is False)
        if fields and write.target is not None:
            cls = write.target.cls
            owner = "" if cls is None else cls.name
            yield NullWrite(fields, write.node, write.scope, write.chain, owner)

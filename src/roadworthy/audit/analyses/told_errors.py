"""Clauses and handlers that send the text of an error to a client."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from roadworthy.audit.analyses import error_text
from roadworthy.audit.analyses.detached import no_client_waits
from roadworthy.audit.analyses.error_text import Leak
from roadworthy.audit.analyses.harmless import only_own_texts
from roadworthy.audit.analyses.own_errors import carried, sent
from roadworthy.audit.dataflow import caught
from roadworthy.audit.dataflow.caught import Breadth, breadth_of
from roadworthy.audit.dataflow.statuses import raised_status
from roadworthy.audit.fastapi import handlers, verdicts
from roadworthy.audit.fastapi.replaced_details import is_kept_back
from roadworthy.audit.fastapi.routes import route_of
from roadworthy.audit.source.flow import Handler
from roadworthy.audit.source.module import Function, Module
from roadworthy.audit.source.pins import service_root

__all__ = ["ToldByClause", "ToldByHandler", "told_by_clauses", "told_by_handlers"]

_OWN: Final = range(500, 600)
_ANOTHER_S: Final = frozenset({502, 504})
"""Statuses of the 500s that say that another server failed (RFC 9110 §15.6.3, §15.6.5)."""

_CLAUSE: Final = b"except"


@dataclass(frozen=True, slots=True, eq=False)
class ToldByClause:
    """An `except` clause whose error a client reads."""

    function: Function
    handler: ast.ExceptHandler
    breadth: Breadth
    """How much the clause takes."""
    leak: Leak

    @property
    def is_answer(self) -> bool:
        """Return whether the route tests what its client gave it: what failed is the answer."""
        route = route_of(self.function)
        return route is not None and verdicts.tests(route) and not self._blames_the_service()

    def _blames_the_service(self) -> bool:
        """Return whether it is said to be the service's own failure: a 500, and no 502."""
        if not isinstance(self.leak.node, ast.Raise):
            return False
        status = raised_status(self.leak.node.exc, self.function)
        return status is None or (status in _OWN and status not in _ANOTHER_S)


@dataclass(frozen=True, slots=True, eq=False)
class ToldByHandler:
    """An exception handler of the application that answers with the exception's text."""

    function: Function
    node: ast.AST
    """What is sent."""
    breadth: Breadth
    name: str
    """The exception that the handler is registered for."""


def told_by_clauses(module: Module) -> Iterator[ToldByClause]:
    """Return the `except` clauses of a module whose error's text reaches a client."""
    if _CLAUSE not in module.source:
        return
    for function in module.functions:
        for handler in function.flow.handlers:
            yield from _told(handler, function)


def _told(handler: Handler, function: Function) -> Iterator[ToldByClause]:
    breadth = _breadth(handler.node, function)
    if breadth is Breadth.OWN:
        return
    every = [*error_text.leaks(handler.node, function), *carried(handler.node, function)]
    leaks = [one for one in every if not is_kept_back(one.node, function)]
    if not leaks or only_own_texts(handler.tried, function):
        return
    if no_client_waits(function):
        return
    leak = min(leaks, key=lambda one: (not one.certain, one.conditions))
    yield ToldByClause(function, handler.node, breadth, leak)


def _breadth(handler: ast.ExceptHandler, function: Function) -> Breadth:
    breadth = caught.breadth(handler, function)
    if breadth is Breadth.LIBRARY and _is_never_raised(handler, function):
        return Breadth.NARROW
    return breadth


def _is_never_raised(handler: ast.ExceptHandler, function: Function) -> bool:
    """Return whether a clause takes httpx's error of a status, and nothing asks to raise it."""
    kinds = list(caught.types(handler, function))
    if any(one is None or one.name != "httpx.HTTPStatusError" for one in kinds):
        return False
    codebase = function.module.codebase
    here = service_root(codebase.root, function.module.path)
    asking = codebase.mentioning(b"raise_for_status", near=function.module.path)
    return all(service_root(codebase.root, path) != here for path in asking)


def told_by_handlers(module: Module) -> Iterator[ToldByHandler]:
    """Return the exception handlers of a module that answer with the exception's text."""
    if _CLAUSE not in module.source:  # `exception_handler` has the word, too
        return
    for one in handlers.registered_in(module):
        breadth = Breadth.ALL if one.name in handlers.EVERYTHING else breadth_of(one.exception)
        if one.function is not None and breadth >= Breadth.LIBRARY:
            for event in sent(one.function):
                yield ToldByHandler(one.function, event.node, breadth, one.name)

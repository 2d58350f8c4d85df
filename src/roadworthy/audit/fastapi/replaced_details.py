"""Details of HTTPExceptions that an application's own handler replaces."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.dataflow.statuses import (
    HTTP_EXCEPTION,
    argument,
    is_http_exception,
    raised_status,
)
from roadworthy.audit.fastapi import handlers
from roadworthy.audit.fastapi.detail_handlers import Answering
from roadworthy.audit.fastapi.handlers import Registered
from roadworthy.audit.source import names
from roadworthy.audit.source.memory import lasting
from roadworthy.audit.source.module import Class, Function, Module, Scope
from roadworthy.audit.source.nodes import last_name
from roadworthy.audit.source.pins import service_root
from roadworthy.audit.source.ref import Ref

__all__ = ["is_kept_back"]

_APPLICATION: Final = "fastapi.FastAPI"


def is_kept_back(raised: ast.AST, function: Function) -> bool:
    """Return whether the application answers without the detail of what is raised.

    It must be the only one of its service: another has no handlers of the first.
    """
    call = raised.exc if isinstance(raised, ast.Raise) else None
    ref = names.resolve(call, function)
    if not isinstance(call, ast.Call) or ref is None or not is_http_exception(ref):
        return False
    status = raised_status(call, function)
    answers = _answers(ref, status, function)
    if not answers or _applications(function) > 1:
        return False
    kind = names.resolve(argument(call, "detail", 1), function)
    return not any(_shows(one, status, kind) for one in answers)


def _shows(one: Registered, status: int | None, kind: Ref | None) -> bool:
    return one.function is None or Answering.of(one.function, status, kind).shows


def _answers(ref: Ref, status: int | None, function: Function) -> list[Registered]:
    """Return the handlers of an exception: first by its status, else by its nearest class."""
    known = [
        one
        for one in handlers.registered_anywhere(function.module)
        if _service(one.scope) == _service(function)
    ]
    bases = [base.name for base in names.bases(ref.cls)] if ref.cls is not None else [ref.name]
    for name in (str(status), *bases, HTTP_EXCEPTION):
        found = [one for one in known if one.name == name]
        if found:
            return found
    return []


def _service(scope: Scope) -> str:
    return service_root(scope.module.codebase.root, scope.module.path)


def _applications(function: Function) -> int:
    """Return how many applications the code of a service makes."""
    return _applications_near(function.module).count(_service(function))


@lasting
def _applications_near(module: Module) -> list[str]:
    """Return the service of each application that the code of a project makes."""
    return list(_made(module))


def _made(near: Module) -> Iterator[str]:
    codebase = near.codebase
    for path in codebase.mentioning(b"FastAPI(", near=near.path):
        module = codebase.module(path)
        scopes: list[Scope] = [] if module is None else [module, *module.functions]
        for scope in scopes:
            for call in () if isinstance(scope, Class) else scope.flow.calls:
                if last_name(call.node.func) != "FastAPI":
                    continue
                ref = names.resolve(call.node.func, scope)
                if ref is not None and ref.name == _APPLICATION:
                    yield _service(scope)

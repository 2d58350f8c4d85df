"""Status codes: which one an expression, an exception or an answer stands for."""

import ast
from http import HTTPStatus
from typing import Final

from roadworthy.audit.source import names
from roadworthy.audit.source.module import Assigned, Class, Function, Scope
from roadworthy.audit.source.ref import Ref

__all__ = [
    "HTTP_EXCEPTION",
    "argument",
    "is_http_exception",
    "is_response",
    "raised_status",
    "response_status",
    "status_of",
]

HTTP_EXCEPTION: Final = "fastapi.HTTPException"
"""What Starlette's own is called here, too."""
_RESPONSES: Final = ("fastapi.Response", "starlette.responses.", "sse_starlette.")


def status_of(node: ast.expr | None, scope: Scope) -> int | None:
    """Return the status that an expression stands for, where the code tells."""
    match node:
        case ast.Constant(value=bool()) | None:
            return None
        case ast.Constant(value=int() as number):
            return number
        case ast.Name(id=name) if (assigned := _constant(name, scope)) is not None:
            return assigned
        case ast.Attribute(value=value, attr="value"):
            return status_of(value, scope)
        case ast.Name() | ast.Attribute():
            return _named(names.resolve(node, scope), node)
        case _:
            return None


def argument(call: ast.Call, name: str, at: int | None = None) -> ast.expr | None:
    """Return what a call gives a parameter, by its name or its place."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    if at is None or len(call.args) <= at or any(isinstance(a, ast.Starred) for a in call.args):
        return None
    return call.args[at]


def is_http_exception(ref: Ref | None) -> bool:
    """Return whether something is an HTTPException, or inherits from it."""
    return names.is_a(ref, HTTP_EXCEPTION)


def raised_status(call: ast.expr | None, scope: Scope) -> int | None:
    """Return the status of `HTTPException(...)`, or of a class that inherits from it."""
    func = call.func if isinstance(call, ast.Call) else call
    ref = None if func is None else names.resolve(func, scope)
    if ref is not None and ref.cls is not None:
        said = None
        if isinstance(call, ast.Call):
            said = status_of(argument(call, "status_code"), scope)
        return said if said is not None else _of_class(ref.cls)
    if isinstance(call, ast.Call):
        return status_of(argument(call, "status_code", 0), scope)
    return None


def response_status(call: ast.Call, scope: Scope) -> int | None:
    """Return the status of a response that a call makes; None where it makes none.

    One that is not a constant is 0: it may be any.
    """
    ref = names.resolve(call.func, scope)
    if ref is None or not is_response(ref):
        return None
    at = 1 if not ref.name.endswith(("TemplateResponse", "RedirectResponse")) else None
    given = argument(call, "status_code", at)
    if given is None:
        return 307 if ref.name.endswith("RedirectResponse") else 200
    return status_of(given, scope) or 0


def is_response(ref: Ref | None) -> bool:
    """Return whether something is, or is of, a class of responses."""
    if ref is None:
        return False
    if ref.cls is not None:
        return any(_is_library_s(base.name) for base in names.bases(ref.cls) if base.cls is None)
    return _is_library_s(ref.name)


def _is_library_s(name: str) -> bool:
    return name.startswith(_RESPONSES) and name.endswith("Response")


def _constant(name: str, scope: Scope) -> int | None:
    """Return the number that a name of the function or module was given."""
    for here in (scope, scope.module):
        for binding in here.names.get(name, ()):
            if isinstance(binding, Assigned) and isinstance(binding.value, ast.Constant):
                value = binding.value.value
                return value if isinstance(value, int) and not isinstance(value, bool) else None
    return None


def _named(ref: Ref | None, node: ast.expr) -> int | None:
    name = ref.name.rpartition(".")[2] if ref is not None else getattr(node, "attr", "")
    if name.startswith("HTTP_") and name[5:8].isdecimal():
        return int(name[5:8])
    return HTTPStatus[name].value if name in HTTPStatus.__members__ else None


def _of_class(cls: Class) -> int | None:
    """Return the status that a class gives itself, as an attribute or to its base."""
    for base in names.bases(cls):
        if base.cls is None:
            continue
        for binding in base.cls.names.get("status_code", ()):
            if isinstance(binding, Assigned):
                return status_of(binding.value, base.cls)
        for method in base.cls.methods:
            if method.name == "__init__" and (found := _given_to_base(method)) is not None:
                return found
    return None


def _given_to_base(method: Function) -> int | None:
    for call in method.flow.calls:
        func = call.node.func
        if isinstance(func, ast.Attribute) and func.attr == "__init__":
            found = status_of(argument(call.node, "status_code", 0), method)
            if found is not None:
                return found
    default = method.param("status_code")
    return None if default is None else status_of(default.default, method)

"""Amend `app.openapi()`, whoever makes the document, and whenever.

FastAPI lets a user replace `app.openapi` by assignment: after `install`, in a lifespan, in
a subclass. A wrapper around the method of that day would miss all of these, so the
attribute itself is what amends: it keeps the function that was put there, and hands out
one that amends what that returns.
"""

from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any, Final, cast

from fastapi import FastAPI

from roadworthy.problems.openapi.amend import amend

__all__ = ["document"]

Generate = Callable[[], dict[str, Any]]

_MARK: Final = "__roadworthy_documented__"
_AMENDED: Final = "roadworthy_amended"


def document(app: FastAPI) -> None:
    """Amend whatever `app.openapi()` returns, now and after it is replaced."""
    kind = type(app)
    if not hasattr(kind, _MARK):
        # What the user has put on the instance stays there, and is found by `_Document`.
        app.__class__ = _documented(kind)


def _documented(kind: type[FastAPI]) -> type[FastAPI]:
    """Return a subclass of the same name, which differs in `openapi` alone."""
    same = {
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
    }
    make: Any = type(kind)
    made = make(kind.__name__, (kind,), {**same, _MARK: True, "openapi": _Document(kind)})
    return cast("type[FastAPI]", made)


class _Document:
    """The attribute `openapi` of an application under the contract."""

    def __init__(self, kind: type[FastAPI]) -> None:
        self._kind = kind

    def __get__(self, app: FastAPI | None, owner: type[FastAPI]) -> Any:
        if app is None:
            return self._kind.openapi
        own: Generate | None = vars(app).get("openapi")
        generate = own or self._kind.openapi.__get__(app, owner)
        return update_wrapper(partial(_amended, app, generate), generate)

    def __set__(self, app: FastAPI, generate: Generate) -> None:
        vars(app)["openapi"] = generate

    def __delete__(self, app: FastAPI) -> None:
        del vars(app)["openapi"]


def _amended(app: FastAPI, generate: Generate) -> dict[str, Any]:
    schema = generate()
    # One that is kept is amended once: what its owner has changed since stays changed.
    if getattr(app.state, _AMENDED, None) is not schema:
        amend(app, schema)
        setattr(app.state, _AMENDED, schema)
    return schema

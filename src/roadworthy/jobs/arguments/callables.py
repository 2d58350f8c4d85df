"""Tell what is called in a task that is no plain function.

A `functools.partial`, or an object with `__call__`.
"""

import inspect
from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any

__all__ = ["callee", "is_async", "is_plain", "unrun"]


def callee(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that is called in the end, which has the parameters' types."""
    while isinstance(function, partial):
        function = function.func
    if inspect.isroutine(function) or "__annotations__" in getattr(function, "__dict__", {}):
        return function  # the latter has taken them over from what it wraps
    return type(function).__call__


def is_async(function: Callable[..., Any]) -> bool:
    """Return whether calling gives a coroutine, as far as its declaration tells."""
    return _is(inspect.iscoroutinefunction, function)


def unrun(function: Callable[..., Any]) -> str | None:
    """Return how a function is called that does nothing when it is called, or None."""
    if _is(inspect.isgeneratorfunction, function):
        return "generator"
    return "async generator" if _is(inspect.isasyncgenfunction, function) else None


def is_plain(function: Callable[..., Any]) -> bool:
    """Return whether a function was written with `def`, so that its name can find it."""
    return isinstance(function, FunctionType)


def _is(kind: Callable[[Any], bool], function: Callable[..., Any]) -> bool:
    while isinstance(function, partial):
        function = function.func
    return kind(function) or (not inspect.isroutine(function) and kind(type(function).__call__))

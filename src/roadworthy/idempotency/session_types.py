"""The classes that an annotation names, and whether their sessions are async."""

import inspect
import types
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
)
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Annotated, Any, Final, Union, get_args, get_origin

from sqlalchemy.ext.asyncio import AsyncSession

from roadworthy import _fastapi

__all__ = ["can_await", "given_by", "is_of_no_type", "taken_as"]

_GIVING: Final = frozenset(
    {AsyncGenerator, AsyncIterator, AsyncIterable, Generator, Iterator, Iterable, Awaitable}
    | {AbstractAsyncContextManager, AbstractContextManager}
)
"""Return annotations of dependencies that yield the session."""
_NOTHING: Final = (Any, types.NoneType, inspect.Parameter.empty)
"""Annotations that look like a class (`Any`, since Python 3.11) and name none."""


def can_await(kind: type) -> bool:
    """Return whether a session of this class has a connection that is awaited."""
    return inspect.iscoroutinefunction(getattr(kind, "connection", None))


def is_of_no_type(kind: type) -> bool:
    """Return whether a class is too general to say anything about a session."""
    return issubclass(AsyncSession, kind) or bool(getattr(kind, "_is_protocol", False))


def taken_as(annotation: Any) -> tuple[type, ...]:
    """Return the classes that an annotation names, none if it names none."""
    annotation = getattr(annotation, "__value__", annotation)  # of `type Name = ...`
    origin = get_origin(annotation)
    if origin is Annotated:
        return taken_as(get_args(annotation)[0])
    if origin in {Union, types.UnionType}:
        return tuple(kind for arm in get_args(annotation) for kind in taken_as(arm))
    kind = origin or annotation
    known = isinstance(kind, type) and kind not in _NOTHING
    return (kind,) if known else ()


def given_by(call: Any) -> tuple[type, ...]:
    """Return the classes of a dependency's value, as far as it is annotated."""
    made = _fastapi.unwrapped(call)
    if isinstance(made, type):
        return (made,)
    annotation = _fastapi.returned_by(call)
    while get_origin(annotation) in _GIVING | {Coroutine}:
        given = get_args(annotation)
        annotation = given[-1] if get_origin(annotation) is Coroutine else given[0]
    return taken_as(annotation)

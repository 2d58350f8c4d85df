"""The exception handlers of an application: its own win over ours.

Nothing that somebody registered is dropped without a word: by class, by a base class or
by status, in the constructor or by decorator, before `install` or after it.
"""

import logging
from collections.abc import Callable
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from typing import Any, Final, TypeAlias, cast

from fastapi.exception_handlers import (
    http_exception_handler,
    request_validation_exception_handler,
    websocket_request_validation_exception_handler,
)
from fastapi.exceptions import RequestValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response

from roadworthy._internal.objects_within import objects_within
from roadworthy.problems.answer import handle
from roadworthy.problems.contract import context_of
from roadworthy.problems.translate import is_refusal

__all__ = ["hand_over", "lend", "own_kinds", "register", "tell_of"]

log = logging.getLogger("roadworthy.problems")

ErrorKey: TypeAlias = Any
"""A class of exceptions, or a status: the keys of `app.exception_handlers`."""

KINDS: Final[tuple[type[Exception], ...]] = (
    HTTPException,
    RequestValidationError,
    ExceptionGroup,
    Exception,
)
_CRASHES: Final[tuple[ErrorKey, ...]] = (Exception, 500)
"""Two names of one handler, which stands outside of all middleware."""

_DEFAULTS: Final = (
    http_exception_handler,
    request_validation_exception_handler,
    websocket_request_validation_exception_handler,
)


def register(app: Starlette) -> None:
    """Register our handlers where the application has none of its own."""
    for kind in _free(app):
        app.exception_handlers[kind] = _handle_group if kind is ExceptionGroup else handle
    _keep_own_texts(app)


def lend(app: Starlette) -> None:
    """Register our handlers in an application under another one's contract.

    Without one, as where it is served alone in a test, it answers as it did.
    """
    free = _free(app)
    lent = {kind: _Lent(_default_of(app, kind)) for kind in free}
    app.exception_handlers.update(lent)
    _keep_own_texts(app)
    if app.middleware_stack is not None:  # it has started: it looks there no more
        for layer in objects_within(app.middleware_stack, stop=(Starlette, type(app.router))):
            _lend_to(layer, app)


def hand_over(app: Starlette) -> None:
    """Replace the application's handlers of HTTP errors, validation and crashes."""
    for kind in own_kinds(app):
        if _is_rendered(kind):
            del app.exception_handlers[kind]
    register(app)


def own_kinds(app: Starlette) -> list[ErrorKey]:
    """Return the exceptions and statuses that an application handles itself."""
    return [kind for kind, handler in app.exception_handlers.items() if not _is_nobodys(handler)]


def tell_of(app: Starlette, *, replace: bool | None) -> None:
    """Log in one line which failures leave the contract, and how to hand them over."""
    kinds = own_kinds(app)
    if not kinds:
        return
    level = logging.WARNING if replace is None else logging.INFO
    names = ", ".join(_name(kind) for kind in kinds)
    log.log(level, "Answered by handlers of the application, outside of the contract: %s.%s%s",
            names, _how_to_hand_over(kinds), _how_to_keep(replace))  # fmt: skip


def _how_to_hand_over(kinds: list[ErrorKey]) -> str:
    rendered = ", ".join(_name(kind) for kind in kinds if _is_rendered(kind))
    others = ", ".join(_name(kind) for kind in kinds if not _is_rendered(kind))
    return "".join(
        (
            f" problems.install(app, replace=True) hands over {rendered}." if rendered else "",
            f" To hand over {others}, derive from problems.Problem." if others else "",
        )
    )


def _how_to_keep(replace: bool | None) -> str:
    return " problems.install(app, replace=False) says that this is meant." * (replace is None)


def _is_rendered(kind: ErrorKey) -> bool:
    if not isinstance(kind, type):
        return True  # a status
    return kind in KINDS or issubclass(kind, HTTPException | RequestValidationError)


def _free(app: Starlette) -> list[type[Exception]]:
    """Return the exceptions that no handler of the application's own takes."""
    own = own_kinds(app)
    if any(kind in _CRASHES for kind in own):
        own.append(Exception)
        if _is_ours(app.exception_handlers.get(Exception)):
            del app.exception_handlers[Exception]
    return [kind for kind in KINDS if kind not in own]


def _is_nobodys(handler: object) -> bool:
    return handler in _DEFAULTS or _is_ours(handler)


async def _handle_group(request: Request, error: Exception) -> Response:
    """Answer for a group of refusals; any other group is a crash."""
    if is_refusal(error):
        return await handle(request, error)
    raise error


def _is_ours(handler: object) -> bool:
    return handler in (handle, _handle_group) or isinstance(handler, _Lent)


def _name(kind: ErrorKey) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)


def _keep_own_texts(app: Starlette) -> None:
    """Wrap the application's handler of crashes, to note its answers."""
    for kind in _CRASHES:
        handler = app.exception_handlers.get(kind)
        if handler and not isinstance(handler, _Theirs | _Lent) and handler is not handle:
            app.exception_handlers[kind] = _Theirs(handler)


def _lend_to(layer: object, app: Starlette) -> None:
    if isinstance(layer, ExceptionMiddleware):
        for kind in KINDS[:-1]:
            if isinstance(handler := app.exception_handlers.get(kind), _Lent):
                layer.add_exception_handler(kind, handler)
    elif isinstance(layer, ServerErrorMiddleware):
        for kind in _CRASHES:
            if handler := app.exception_handlers.get(kind):
                layer.handler = handler


def _default_of(app: Starlette, kind: type[Exception]) -> Callable[[Any, Any], Any] | None:
    known: Any = app.exception_handlers.get(kind)
    if isinstance(known, _Lent):
        return known.default
    if known in _DEFAULTS:
        return cast("Callable[[Any, Any], Any]", known)
    if kind is HTTPException:
        return ExceptionMiddleware(app).http_exception
    return ServerErrorMiddleware(app).error_response if kind is Exception else None


def _is_async(handler: Any) -> bool:
    while isinstance(handler, partial):
        handler = cast("partial[Any]", handler).func
    return iscoroutinefunction(handler) or iscoroutinefunction(type(handler).__call__)


class _Lent:
    """The contract's handler, in an application that is not always under one."""

    def __init__(self, default: Callable[[Any, Any], Any] | None) -> None:
        self.default = default

    async def __call__(self, request: Request, error: Exception) -> Response:
        if context_of(request.scope) is not None:
            is_group = isinstance(error, ExceptionGroup)
            return await (_handle_group if is_group else handle)(request, error)
        if self.default is None:
            raise error
        given: Any = self.default(request, error)
        return cast("Response", await given if isawaitable(given) else given)


class _Theirs:
    """A handler of the application's own for crashes: its text is not a framework's."""

    def __init__(self, handler: Callable[[Any, Any], Any]) -> None:
        self.handler = handler

    async def __call__(self, request: Request, error: Exception) -> Response:
        if _is_async(self.handler):
            response: Response = await self.handler(request, error)
        else:
            response = await run_in_threadpool(self.handler, request, error)
        if context := context_of(request.scope):
            context.own = response.status_code
        return response

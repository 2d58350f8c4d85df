"""Answer with a `Report`: the contract's exception handler, and its log lines."""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Scope

from roadworthy import _fastapi
from roadworthy.problems.allow_header import complete_allow
from roadworthy.problems.contract import context_or_default
from roadworthy.problems.problem import Problem
from roadworthy.problems.report import FIRST_ERROR, Report
from roadworthy.problems.translate import is_refusal, report_on

__all__ = ["HAS_DOCUMENT", "call_observer", "handle", "log_failure", "respond"]

log = logging.getLogger("roadworthy.problems")

HAS_DOCUMENT: Final = "roadworthy.body_has_document"
"""Scope key: whether the body held a JSON document, which may be `null`."""


async def handle(request: Request, error: Exception) -> Response:
    """Answer for any exception: the handler that `install` registers for all of them."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=499)  # nobody reads it
    if isinstance(error, HTTPException) and error.status_code < FIRST_ERROR:
        return Response(status_code=error.status_code, headers=error.headers)
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        complete_allow(request.scope, error)
    if not is_refusal(error):
        log_failure(request.scope, error)
    elif isinstance(error, Problem):
        context_or_default(request.scope).reason = error.reason_for_log()
    report = report_on(
        error,
        route=_fastapi.route_of(request.scope),
        has_document=HAS_DOCUMENT in request.scope,
        tell_5xx=context_or_default(request.scope).contract.tell_5xx,
    )
    return respond(request.scope, report)


def respond(scope: Scope, report: Report) -> Response:
    """Return the response of a report."""
    contract = context_or_default(scope).contract
    response = Response(contract.body(scope, report), status_code=report.status)
    response.raw_headers += contract.headers(scope, report)
    return response


def log_failure(scope: Scope, error: BaseException, *, late: bool = False) -> None:
    """Log a failure that clients may not read, and call `on_failure`, once for each.

    The exception is the one that was raised first, whatever layers in between made of it.
    """
    context, error = context_or_default(scope), _fastapi.original_of(error)
    if context.logged is None:
        context.logged = []
    if any(logged is error for logged in context.logged):
        return
    context.logged.append(error)
    _log(scope, error, late=late)
    if context.contract.on_failure is not None:
        call_observer(context.contract.on_failure, error)


def _log(scope: Scope, error: BaseException, *, late: bool) -> None:
    if late:
        log.error("failed after the response was sent", exc_info=error)
        return
    route: Any = _fastapi.route_of(scope)
    path = getattr(route, "path_format", None) or repr(scope["path"])
    log.error("%s %s failed", scope.get("method", "WEBSOCKET"), path, exc_info=error)


def call_observer(observer: Callable[..., object], *arguments: Any) -> None:
    """Call an observer, and log an exception that it raises."""
    try:
        observer(*arguments)
    except Exception as error:  # an observer must not change the request that it observes
        log.exception("an observer failed", exc_info=error)

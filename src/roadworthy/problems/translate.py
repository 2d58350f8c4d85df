"""Turn whatever went wrong into a `Report`, and tell a bug from a refusal.

BaseExceptionGroup      the one problem in it, if everything in it is one
Problem                 itself
RequestValidationError  400 MALFORMED_BODY or 422 VALIDATION_FAILED
HTTPException           either kind: the standard problem of its status
disk full               507 INSUFFICIENT_STORAGE, logged
anything else           500 INTERNAL_ERROR, logged; pydantic.ValidationError too,
which is our own data failing, not the client's
"""

import errno
from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus
from http.client import responses
from typing import Any, Final, TypeAlias, cast

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException

from roadworthy.problems import standard
from roadworthy.problems.fields import MAX_ERRORS, FieldError, Names, field_errors
from roadworthy.problems.names import names_on
from roadworthy.problems.problem import Problem
from roadworthy.problems.report import Report

__all__ = ["is_refusal", "report_on", "report_status"]

Group: TypeAlias = BaseExceptionGroup[BaseException]

_DISK_FULL: Final = {errno.ENOSPC, errno.EDQUOT}
_PARSING_FAILED: Final = "There was an error parsing the body"
_PHRASES: Final = {*responses.values(), "Content Too Large", "Unprocessable Content"}
"""What the hosts say where nobody wrote a detail."""

_STANDARD: Final[dict[int, type[Problem]]] = {
    problem.status: problem
    for problem in vars(standard).values()
    if isinstance(problem, type) and issubclass(problem, Problem) and problem is not Problem
    if problem is not standard.MalformedBody  # an HTTPException(400) may mean anything
}


def is_refusal(error: BaseException) -> bool:
    """Tell whether an error is an answer to the client, rather than a failure of ours."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_refusal(child) for child in _children(cast("Group", error)))
    if isinstance(error, HTTPException):
        return report_on(error, route=None).status < HTTPStatus.INTERNAL_SERVER_ERROR
    return isinstance(error, RequestValidationError)


def report_on(error: BaseException, *, route: Any) -> Report:
    """Return what a client may know of an error that `route`, if known, raised."""
    match error:
        case BaseExceptionGroup():
            return _report_on_group(error, route)
        case Problem():
            return Report.of(error)
        case RequestValidationError():
            return Report.of(_invalid(error, route))
        case HTTPException():
            return _report_on_http(error)
        case _:
            full = _is_disk_full(error)
            return Report.of(standard.InsufficientStorage() if full else standard.InternalError())


def report_status(status: int) -> Report:
    """Return the report of a status whose cause is not known."""
    if status in _STANDARD:
        return Report.of(_STANDARD[status]())
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Error"
    code = "".join(c if c.isalnum() else "_" for c in phrase.upper().replace("'", ""))
    return Report(status=status, code=code, title=phrase, message=f"{phrase}.")


def _children(group: Group) -> tuple[BaseException, ...]:
    return group.exceptions


def _report_on_group(group: Group, route: Any) -> Report:
    # A bug beside a refusal is still a bug: the gravest one speaks for all.
    reports = [report_on(child, route=route) for child in _children(group)]
    return max(reports, key=lambda report: report.status >= HTTPStatus.INTERNAL_SERVER_ERROR)


def _report_on_http(error: HTTPException) -> Report:
    if error.detail == _PARSING_FAILED:
        return Report.of(_unparsed(error))
    if isinstance(error.__context__, MultiPartException):
        return Report.of(standard.MalformedBody())
    report = report_status(error.status_code)
    return replace(
        report,
        message=_message_of(error) or report.message,
        details=_details_of(error) or report.details,
        headers={**report.headers, **(error.headers or {})},
    )


def _message_of(error: HTTPException) -> str | None:
    # What a developer wrote for a 4xx is for the client. A 5xx often quotes its cause.
    detail: Any = error.detail
    told = isinstance(detail, str) and detail not in _PHRASES
    return detail if told and error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR else None


def _details_of(error: HTTPException) -> list[Any]:
    detail: Any = error.detail
    if isinstance(detail, str) or detail is None:
        return []
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return []
    return cast("list[Any]", detail) if isinstance(detail, list) else [detail]


def _unparsed(error: HTTPException) -> Problem:
    """Tell a body that cannot be read from a server that could not read it."""
    causes = list(_chain(error))
    if told := next((cause for cause in causes if isinstance(cause, Problem)), None):
        return told  # by a layer that the body is read through
    if any(_is_disk_full(cause) for cause in causes):
        return standard.InsufficientStorage()
    if any(isinstance(cause, ValueError | RecursionError) for cause in causes):
        return standard.MalformedBody()
    return standard.InternalError()


def _chain(error: BaseException) -> Iterator[BaseException]:
    cause = error.__cause__ or error.__context__
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _is_disk_full(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in _DISK_FULL


def _invalid(error: RequestValidationError, route: Any) -> Problem:
    errors = error.errors()
    if any(e["type"] == "json_invalid" for e in errors):
        return standard.MalformedBody(reason="The body is not valid JSON.")
    if error.body is None and any(e["type"] == "missing" and e["loc"][0] == "body" for e in errors):
        return standard.MalformedBody(reason="A body is needed.")
    return standard.ValidationFailed(errors=_field_errors(errors, route))


def _field_errors(errors: Any, route: Any) -> list[FieldError]:
    names = names_on(route)
    found: list[FieldError] = []
    for error in errors:
        where, *loc = error["loc"]
        known = names.get(where, Names(frozenset()))
        found += field_errors([{**error, "loc": loc}], names=known, in_=where)
    return found[:MAX_ERRORS]

"""Turn whatever went wrong into a `Report`, and tell a bug from a refusal.

BaseExceptionGroup      the one problem in it, if everything in it is one
Problem                 itself
RequestValidationError  400 MALFORMED_BODY or 422 VALIDATION_FAILED
HTTPException           either kind: the standard problem of its status, with the text,
                        the headers and the `X-Error-Code` that its raiser gave
disk full               507 INSUFFICIENT_STORAGE, logged
anything else           500 INTERNAL_ERROR, logged; pydantic.ValidationError too,
which is our own data failing, not the client's
"""

import errno
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http import HTTPStatus
from http.client import responses
from json import JSONDecodeError
from typing import Any, Final, TypeAlias, cast

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException

from roadworthy.problems import standard
from roadworthy.problems.problem import Problem
from roadworthy.problems.report import Report
from roadworthy.problems.validation.field_errors import MAX_ERRORS, FieldError, Names, field_errors
from roadworthy.problems.validation.route_names import names_on

__all__ = ["is_refusal", "report_on", "report_status"]

Group: TypeAlias = BaseExceptionGroup[BaseException]

_DISK_FULL: Final = {errno.ENOSPC, errno.EDQUOT}
_PARSING_FAILED: Final = "There was an error parsing the body"
_RENAMED: Final = {413: "Content Too Large", 422: "Unprocessable Content"}
"""Two codes by the names of RFC 9110 §15.5, in every version of Python."""

_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""The form of an `X-Error-Code`: a name, and no other text."""

_STANDARD: Final[dict[int, type[Problem]]] = {
    problem.status: problem
    for problem in vars(standard).values()
    if isinstance(problem, type) and issubclass(problem, Problem) and problem is not Problem
    if problem is not standard.MalformedBody  # an HTTPException(400) may mean anything
}


def is_refusal(error: BaseException) -> bool:
    """Return whether an error is an answer to the client, and no failure."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_refusal(child) for child in _children(cast("Group", error)))
    if isinstance(error, HTTPException):
        return report_on(error, route=None).status < HTTPStatus.INTERNAL_SERVER_ERROR
    return isinstance(error, RequestValidationError)


def report_on(
    error: BaseException, *, route: Any, has_document: bool = False, tell_5xx: bool = False
) -> Report:
    """Return the report of an error, with what a client may know of it.

    `has_document` says whether the body held a JSON document, which `null` is, and an empty body
    is not. `tell_5xx` sends the texts of an `HTTPException` of 500 and above, too.
    """
    match error:
        case BaseExceptionGroup():
            return _report_on_group(error, route, has_document=has_document, tell_5xx=tell_5xx)
        case Problem():
            return Report.of(error)
        case RequestValidationError():
            return Report.of(_invalid(error, route, has_document=has_document))
        case HTTPException():
            return _report_on_http(error, tell_5xx=tell_5xx)
        case _:
            full = _is_disk_full(error)
            return Report.of(standard.InsufficientStorage() if full else standard.InternalError())


def report_status(status: int) -> Report:
    """Return the report of a status whose cause is not known.

    The report has no headers: nobody knows when to try again.
    """
    if status in _STANDARD:
        return replace(Report.of(_STANDARD[status]()), headers={})
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Error"
    code = "".join(c if c.isalnum() else "_" for c in phrase.upper().replace("'", ""))
    return Report(status=status, code=code, title=phrase, message=f"{phrase}.")


def _children(group: Group) -> tuple[BaseException, ...]:
    return group.exceptions


def _report_on_group(group: Group, route: Any, **how: bool) -> Report:
    # A bug beside a refusal is still a bug: the gravest one speaks for all.
    reports = [report_on(child, route=route, **how) for child in _children(group)]
    return max(reports, key=lambda report: report.status >= HTTPStatus.INTERNAL_SERVER_ERROR)


def _report_on_http(error: HTTPException, *, tell_5xx: bool) -> Report:
    if error.detail == _PARSING_FAILED:
        return Report.of(_unparsed(error))
    if isinstance(error.__context__, MultiPartException):
        return Report.of(standard.MalformedBody())
    report = _as_declared(report_status(error.status_code), error.headers or {})
    # What a developer wrote for a 4xx is for the client. A 5xx often quotes its cause.
    if error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR or tell_5xx:
        report = _with_text(report, error.detail)
    return report


def _as_declared(report: Report, headers: Mapping[str, str]) -> Report:
    # Names of headers have no case: one that was written twice is sent once.
    given = {name.lower(): value for name, value in headers.items()}
    code = given.pop("x-error-code", "")
    known = code if _CODE.fullmatch(code) else report.code
    return replace(report, code=known, page=report.code, headers=given)


def _with_text(report: Report, detail: Any) -> Report:
    match detail:
        case None:
            return report
        case str() if detail in _phrases(report.status):
            return report  # what the hosts say where nobody wrote a detail
        case str():
            return replace(report, message=detail or report.message)
        case list():
            return replace(report, details=cast("list[Any]", detail))
        case _:
            return replace(report, details=[detail])


def _phrases(status: int) -> tuple[str | None, ...]:
    return responses.get(status), _RENAMED.get(status)


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


def _invalid(error: RequestValidationError, route: Any, *, has_document: bool) -> Problem:
    errors = error.errors()
    if isinstance(error.__cause__, JSONDecodeError):  # of the body, where nothing of ours read it
        return standard.MalformedBody(reason="The body is not valid JSON.")
    if error.body is None and not has_document and any(_is_missing_body(e) for e in errors):
        return standard.MalformedBody(reason="A body is needed.")
    return standard.ValidationFailed(errors=_field_errors(errors, route))


def _is_missing_body(error: Mapping[str, Any]) -> bool:
    return bool(error["type"] == "missing" and error["loc"][0] == "body")


def _field_errors(errors: Any, route: Any) -> list[FieldError]:
    names = names_on(route)
    found: list[FieldError] = []
    for error in errors:
        where, *loc = error["loc"]
        known = names.get(where, Names(frozenset()))
        found += field_errors([{**error, "loc": loc}], names=known, in_=where)
    return found[:MAX_ERRORS]

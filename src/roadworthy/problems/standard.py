"""The standard problems, which every service can answer with."""

from collections.abc import Sequence
from typing import Any

from roadworthy.problems.problem import Problem
from roadworthy.problems.validation.field_errors import FieldError, FieldErrorJson

__all__ = [
    "Conflict",
    "InsufficientStorage",
    "InternalError",
    "MalformedBody",
    "MethodNotAllowed",
    "NotFound",
    "PayloadTooLarge",
    "RangeNotSatisfiable",
    "RequestTimeout",
    "ServiceUnavailable",
    "UnsupportedMediaType",
    "ValidationFailed",
]


class MalformedBody(Problem):
    """The body cannot be parsed: not JSON or multipart, not UTF-8, empty, or too deep."""

    status = 400
    title = "Malformed body"
    detail = "{reason}"
    reason: str = "The body could not be parsed."

    def details(self) -> list[Any]:
        """Carry nothing: the reason is the message."""
        return []


class NotFound(Problem):
    """There is nothing at this path."""

    status = 404
    title = "Not found"
    detail = "There is nothing here."


class MethodNotAllowed(Problem):
    """The path exists, but not with this method; `Allow` lists those it has."""

    status = 405
    title = "Method not allowed"
    detail = "This path does not take that method."


class RequestTimeout(Problem):
    """The body stopped, or came too slowly (RFC 9110 §15.5.9)."""

    status = 408
    title = "Request timeout"
    detail = "The body did not come in time."


class Conflict(Problem):
    """The request contradicts what is stored."""

    status = 409
    title = "Conflict"
    detail = "The request conflicts with what is stored."
    details_type = FieldErrorJson
    errors: Sequence[FieldError] = ()

    def details(self) -> list[Any]:
        """Carry the fields that conflict."""
        return [error.as_json() for error in self.errors]


class PayloadTooLarge(Problem):
    """The body is larger than this route takes."""

    status = 413
    title = "Payload too large"
    detail = "The body is larger than this route takes."


class UnsupportedMediaType(Problem):
    """The `Content-Type` is none that this route takes."""

    status = 415
    title = "Unsupported media type"
    detail = "This route does not take that Content-Type."


class RangeNotSatisfiable(Problem):
    """The requested range lies outside the content (RFC 9110 §15.5.17)."""

    status = 416
    title = "Range not satisfiable"
    detail = "The requested range lies outside the content."


class ValidationFailed(Problem):
    """The request does not fit the schema; `details` says where."""

    status = 422
    title = "Validation failed"
    detail = "The request does not fit the schema."
    details_type = FieldErrorJson
    errors: Sequence[FieldError] = ()

    def details(self) -> list[Any]:
        """Carry the fields that do not fit."""
        return [error.as_json() for error in self.errors]


class InternalError(Problem):
    """The service has a bug; its log has the cause, under the request id."""

    status = 500
    title = "Internal error"
    detail = "Something went wrong on our side."


class ServiceUnavailable(Problem):
    """Something that is needed is away or full; try again after `Retry-After` seconds."""

    status = 503
    title = "Service unavailable"
    detail = "The service cannot answer right now."
    headers = {"Retry-After": "{retry_after}"}  # noqa: RUF012 - never changed
    retry_after: int = 1

    def details(self) -> list[Any]:
        """Carry nothing: the wait is in the header."""
        return []


class InsufficientStorage(Problem):
    """The service has no room left to store this (RFC 4918 §11.5)."""

    status = 507
    title = "Insufficient storage"
    detail = "There is no room left to store this."

"""One error contract for a service: after `install`, every error has one shape.

    app = FastAPI()
    problems.install(app)

Every failure then has the same shape: your own errors, refusals of FastAPI, answers of middleware,
and crashes. Clients choose between the envelope and RFC 9457.
"""

from roadworthy.problems.asgi.lingering_close import Linger, LingeringClose
from roadworthy.problems.asgi.watchers import Outcome, Watcher, watch
from roadworthy.problems.declare import raises, responses
from roadworthy.problems.install import install, is_installed
from roadworthy.problems.problem import Problem
from roadworthy.problems.request_ids import RequestIdFilter, request_id
from roadworthy.problems.standard import (
    Conflict,
    InsufficientStorage,
    InternalError,
    MalformedBody,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    RangeNotSatisfiable,
    RequestTimeout,
    ServiceUnavailable,
    UnsupportedMediaType,
    ValidationFailed,
)
from roadworthy.problems.validation.field_errors import FieldError, Names, field_errors, names_of

__all__ = [
    "Conflict",
    "FieldError",
    "InsufficientStorage",
    "InternalError",
    "Linger",
    "LingeringClose",
    "MalformedBody",
    "MethodNotAllowed",
    "Names",
    "NotFound",
    "Outcome",
    "PayloadTooLarge",
    "Problem",
    "RangeNotSatisfiable",
    "RequestIdFilter",
    "RequestTimeout",
    "ServiceUnavailable",
    "UnsupportedMediaType",
    "ValidationFailed",
    "Watcher",
    "field_errors",
    "install",
    "is_installed",
    "names_of",
    "raises",
    "request_id",
    "responses",
    "watch",
]

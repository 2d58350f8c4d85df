"""Validate a request before FastAPI does, which is after all dependencies.

For dependencies that read the body, or wait: what is invalid is not worth either.
"""

# pyright: reportPrivateUsage=false, reportPrivateImportUsage=false
# As in `_fastapi`, to which this belongs.

from typing import Any

from fastapi.dependencies.utils import request_body_to_args, request_params_to_args
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request

from roadworthy import _fastapi

__all__ = ["check_parameters", "check_request"]


def check_parameters(request: Request) -> None:
    """Check all parameters of the route now: FastAPI does it after all dependencies.

    Raises:
        RequestValidationError: One of them does not fit.
    """
    route = _fastapi.route_of(request.scope)
    if errors := _errors_in_parameters(request, route):
        raise RequestValidationError(errors)


async def check_request(request: Request) -> None:
    """Check all parameters of the route and its body now, as far as that has been read.

    Raises:
        RequestValidationError: Something does not fit.
    """
    route = _fastapi.route_of(request.scope)
    errors, body = _errors_in_parameters(request, route), _body_read(request, route)
    for dependant in (route.dependant, *_fastapi.dependencies_of(route)):
        if dependant.body_params and body is not None:
            embedded = route._embed_body_fields  # noqa: SLF001
            errors += (await request_body_to_args(dependant.body_params, body, embedded))[1]
    if errors:
        raise RequestValidationError(errors, body=body)


def _body_read(request: Request, route: Any) -> Any:
    if route.body_field is None:
        return None
    return getattr(request, "_form", None) or getattr(request, "_json", None)


def _errors_in_parameters(request: Request, route: Any) -> list[Any]:
    errors: list[Any] = []
    for dependant in (route.dependant, *_fastapi.dependencies_of(route)):
        for fields, received in (
            (dependant.path_params, request.path_params),
            (dependant.query_params, request.query_params),
            (dependant.header_params, request.headers),
            (dependant.cookie_params, request.cookies),
        ):
            errors += request_params_to_args(fields, received)[1]
    return errors

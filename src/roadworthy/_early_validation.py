"""Validate a request from within a dependency: FastAPI validates after all dependencies.

An invalid request is then refused before a dependency reads its body or opens a transaction.
"""

from typing import Any

from fastapi.dependencies.utils import request_body_to_args, request_params_to_args
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request

from roadworthy import _fastapi

__all__ = ["check_parameters", "check_request"]


def check_parameters(request: Request) -> None:
    """Check all parameters of the route now.

    Raises:
        RequestValidationError: A parameter does not fit.
    """
    route = _fastapi.route_of(request.scope)
    if errors := _errors_in_parameters(request, route):
        raise RequestValidationError(errors)


async def check_request(request: Request) -> None:
    """Check all parameters of the route now, and the body if it has been read.

    Raises:
        RequestValidationError: A parameter or the body does not fit.
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

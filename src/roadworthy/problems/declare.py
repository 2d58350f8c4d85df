"""Declare the problems that a route or a dependency can answer with, for OpenAPI."""

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from starlette.applications import Starlette

from roadworthy.problems.problem import Problem

__all__ = [
    "AMENDS",
    "Documented",
    "amends_openapi",
    "declared_by",
    "every_route_raises",
    "raised_by_all",
    "raises",
    "responses",
]

F = TypeVar("F", bound=Callable[..., Any])

AMENDS: Final = "__roadworthy_openapi__"
"""Attribute of a dependency that takes part in the documentation of its operations."""

_EVERYWHERE: Final = "roadworthy_raises"
_RAISES: Final = "__roadworthy_raises__"


class Documented(dict[str, Any]):
    """The OpenAPI response of one status, and the problems that it stands for."""

    def __init__(self, problems: tuple[type[Problem], ...]) -> None:
        super().__init__(description=" or ".join(p.title for p in problems))
        self.problems = problems


def responses(*problems: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """Return the `responses=` of a route that can answer with these problems.

    `@router.get("/items/{id}", responses=problems.responses(ItemNotFound))`
    """
    statuses = dict.fromkeys(problem.status for problem in problems)
    return {
        status: Documented(tuple(p for p in problems if p.status == status)) for status in statuses
    }


def raises(*problems: type[Problem]) -> Callable[[F], F]:
    """Declare the problems of a dependency, for OpenAPI of each route that uses it."""

    def declare(dependency: F) -> F:
        setattr(dependency, _RAISES, (*getattr(dependency, _RAISES, ()), *problems))
        return dependency

    return declare


def amends_openapi(amend: Callable[[dict[str, Any], dict[str, Any]], None]) -> Callable[[F], F]:
    """Let a dependency amend its operations: `amend(operation, components)`."""

    def attach(dependency: F) -> F:
        setattr(dependency, AMENDS, amend)
        return dependency

    return attach


def every_route_raises(app: Starlette, *problems: type[Problem]) -> None:
    """Declare problems that each route can answer with, by a layer around them."""
    known = getattr(app.state, _EVERYWHERE, ())
    setattr(app.state, _EVERYWHERE, (*known, *problems))


def raised_by_all(app: Starlette) -> tuple[type[Problem], ...]:
    """Return the problems that `every_route_raises` declared."""
    return getattr(app.state, _EVERYWHERE, ())


def declared_by(dependency: object) -> Iterator[type[Problem]]:
    """Yield the problems that `raises` declared on a dependency."""
    yield from getattr(dependency, _RAISES, ())

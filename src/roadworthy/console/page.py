"""`Page`: one page of the console: its place in the menu, the parts it needs, its routes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.responses import Response

from roadworthy.console.parts import Parts

__all__ = ["Page"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of the menu."""

    name: str
    """Its path below the console, and the start of its template's name; empty for the first."""
    title: str
    show: Callable[..., Awaitable[Response]]
    """Answers GET with the page."""
    add_to: Callable[[APIRouter], None] = lambda routes: None
    """Adds its other routes: GETs of what is below it, POSTs that change."""
    is_there: Callable[[Parts], bool]
    """Whether the service has the parts that it shows."""

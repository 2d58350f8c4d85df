"""`/`: a page for people: what Depot is, where its pages are, and five lines to try."""

import base64
import hashlib
from functools import cache
from html import escape
from importlib.resources import files
from string import Template

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse

__all__ = ["router"]

router = APIRouter(include_in_schema=False)


@router.head("/")
@router.get("/")
async def home(request: Request) -> HTMLResponse:
    """Show the page, its lines with the address that was asked."""
    url = escape(str(request.base_url).rstrip("/"))
    page = Template(_text("home.html")).substitute(url=url, style=_text("home.css"))
    return HTMLResponse(page, headers={"Content-Security-Policy": _policy()})


@cache
def _policy() -> str:
    # The one style that the page has is known by its hash (CSP Level 3); it has no script.
    style = base64.b64encode(hashlib.sha256(_text("home.css").encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


@cache
def _text(name: str) -> str:
    return (files("depot") / name).read_text("utf-8")

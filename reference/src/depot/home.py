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
    page = Template(_text("home.html")).substitute(
        url=url, style=_text("home.css"), script=_text("home.js")
    )
    return HTMLResponse(page, headers={"Content-Security-Policy": _policy()})


@cache
def _policy() -> str:
    # The one style and the one script that the page has are known by their hashes (CSP Level 3).
    return (
        f"default-src 'none'; style-src '{_hash('home.css')}'; script-src '{_hash('home.js')}'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _hash(name: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(_text(name).encode()).digest()).decode()


@cache
def _text(name: str) -> str:
    return (files("depot") / name).read_text("utf-8")

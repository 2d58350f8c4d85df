"""Applications with a console, for the tests of who is let in."""

from typing import Any

import httpx
from fastapi import FastAPI
from starlette.requests import Request

from roadworthy import problems
from roadworthy.console import Viewer, console

HTML = {"accept": "text/html,application/xhtml+xml"}
SAME = {"sec-fetch-site": "same-origin"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def ana(request: Request) -> Viewer:
    return Viewer("ana")


def app_with(access: Any = None, *, prefix: str = "/ops", **options: Any) -> FastAPI:
    app = FastAPI()
    problems.install(app)
    app.include_router(console(access=access, **options), prefix=prefix)
    return app


def client_of(
    app: Any, *, base_url: str = "http://shop.test", client: str = "10.0.0.1", root_path: str = ""
) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(
        app=app, raise_app_exceptions=False, client=(client, 1), root_path=root_path
    )
    return httpx.AsyncClient(transport=transport, base_url=base_url)

"""Paths as clients see them, pages behind catch-all routes, ids of refused WebSockets."""

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, WebSocket
from fastapi.responses import HTMLResponse
from fastapi.testclient import TestClient
from starlette.routing import Host, Mount
from starlette.testclient import WebSocketDenialResponse

from roadworthy import problems


@pytest.mark.parametrize(
    ("root", "asked", "told"),
    [
        ("/v1", "/none", "/v1/none"),
        ("/v1", "/v10/none", "/v1/v10/none"),
        ("/v1/", "/none", "/v1/none"),
        ("/v1", "/v1/none", "/v1/none"),
        ("", "/none", "/none"),
    ],
)
def test_the_path_is_the_one_from_outside(root, asked, told):
    app = FastAPI(root_path=root)
    problems.install(app)
    with TestClient(app) as client:
        assert client.get(asked).json()["error"]["path"] == told
        document = client.get(asked, headers={"Accept": "application/problem+json"}).json()
    assert document["instance"] == told
    assert document["type"] == f"{root.rstrip('/')}/problems/NOT_FOUND"


def spa(path: str) -> HTMLResponse:
    return HTMLResponse("spa")


def included(app: FastAPI) -> None:
    router = APIRouter()
    router.get("/{path:path}")(spa)
    app.include_router(router)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "hide",
    [
        lambda app: app.get("/{path:path}")(spa),
        included,
        lambda app: app.mount("/", FastAPI()),
        lambda app: app.routes.append(Mount("/", routes=[])),
        lambda app: app.routes.append(Host("testserver", FastAPI())),
        lambda app: app.get("/{one}/{two}")(lambda one, two: HTMLResponse("spa")),
    ],
)
def test_the_page_of_a_type_is_found_beside_what_takes_any_path(hide, when):
    app = FastAPI()
    if when == "before":
        hide(app)
    problems.install(app)
    if when == "after":
        hide(app)
    with TestClient(app) as client:
        assert "NOT_FOUND" in client.get("/problems/NOT_FOUND").text


@pytest.mark.parametrize("path", ["/problems/{name}", "/problems/{name:path}"])
def test_a_route_of_the_users_own_under_that_path_wins(path):
    app = FastAPI()
    problems.install(app)
    app.get(path)(lambda name: {"own": name})
    app.get("/{path:path}")(spa)
    with TestClient(app) as client:
        assert client.get("/problems/NOT_FOUND").json() == {"own": "NOT_FOUND"}


def deny() -> None:
    raise HTTPException(401, "No token.")


@pytest.mark.parametrize("path", ["/ws", "/mounted/ws"])
def test_each_refusal_of_a_websocket_has_an_id_of_its_own(path):
    app, mounted = FastAPI(), FastAPI()
    problems.install(app)
    for each in (app, mounted):

        @each.websocket("/ws", dependencies=[Depends(deny)])
        async def ws(ws: WebSocket) -> None: ...

    app.mount("/mounted", mounted)
    ids = set()
    with TestClient(app) as client:
        for headers in ({}, {}, {"X-Request-ID": "mine"}):
            with pytest.raises(WebSocketDenialResponse) as refused:  # noqa: SIM117
                with client.websocket_connect(path, headers=headers):
                    pass
            answer = refused.value
            assert answer.status_code == 401
            assert answer.headers["x-request-id"] == answer.json()["error"]["request_id"]
            ids.add(answer.headers["x-request-id"])
    assert len(ids) == 3
    assert "mine" in ids

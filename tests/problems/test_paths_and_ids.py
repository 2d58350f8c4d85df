"""Paths as clients see them, pages behind catch-all routes, ids of refused WebSockets."""

from pathlib import Path

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse
from fastapi.testclient import TestClient
from starlette.routing import Host, Mount
from starlette.testclient import WebSocketDenialResponse

from roadworthy import problems
from support.http import RawClient

HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


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


@pytest.mark.parametrize("path", ["/none", "/ws", "/ws?n=one", "/mounted/none", "/closed"])
def test_a_handshake_that_is_only_closed_is_refused_with_an_id(serve, path):
    server = serve(Path(__file__).parent / "websocket_app.py")
    ids = set()
    for _ in range(2):
        with RawClient(server.port) as client:
            answer = client.request("GET", path, headers=HANDSHAKE)
        assert (answer.status, answer.json()["error"]["code"]) == (403, "FORBIDDEN")
        assert answer.headers["x-request-id"] == answer.json()["error"]["request_id"]
        ids.add(answer.headers["x-request-id"])
    assert len(ids) == 2


def test_a_handshake_that_is_taken_is_taken_as_ever(serve):
    server = serve(Path(__file__).parent / "websocket_app.py")
    with RawClient(server.port) as client:
        assert client.request("GET", "/ws?n=1", headers=HANDSHAKE).status == 101


def test_a_test_sees_the_code_of_a_close():
    app = FastAPI()
    problems.install(app)

    @app.websocket("/closed")
    async def closed(ws: WebSocket) -> None:
        await ws.close(4001)

    with TestClient(app) as client, pytest.raises(WebSocketDisconnect) as refused:  # noqa: SIM117
        with client.websocket_connect("/closed"):
            pass
    assert refused.value.code == 4001


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

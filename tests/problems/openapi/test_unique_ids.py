"""A function that makes operation ids is asked about the application's own routes only."""

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient

from roadworthy import limits, problems
from roadworthy.health import Health
from roadworthy.lifespan import lifespan
from roadworthy.observability import Telemetry
from roadworthy.uploads import MiB, Upload
from roadworthy.uploads.resumable import Resumable
from roadworthy.uploads.types import PNG

BY = {
    "tag": lambda route: f"{route.tags[0]}-{route.name}",
    "extra": lambda route: route.openapi_extra["x-id"],
    "name": lambda route: {"items": "list_items"}[route.name],
    "path": lambda route: {"/items": "list_items"}[route.path_format],
}


def own_routes(app):
    @app.get("/items", tags=["items"], openapi_extra={"x-id": "list-items"})
    def items() -> list[str]:
        return []


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("routes_first", [True, False])
def test_routes_that_parts_add_are_not_shown_to_it(by, routes_first):
    app = FastAPI(generate_unique_id_function=BY[by])
    if routes_first:
        own_routes(app)
    health = Health(version="1")
    health.install(app)
    limits.install(app, at_most=10)
    problems.install(app)
    Telemetry().install(app, path="/internal/meters")
    app.include_router(Resumable(Upload(max_bytes=MiB, accept=(PNG,)), path="/tus").router)
    app.include_router(APIRouter(lifespan=lifespan(health)))
    if not routes_first:
        own_routes(app)

    document = app.openapi()

    assert document["paths"]["/items"]["get"]["operationId"]
    assert "/internal/meters" not in document["paths"]
    ids = [o["operationId"] for path in document["paths"].values() for o in path.values()]
    assert len(ids) == len(set(ids))


def test_what_is_measured_is_answered_and_guarded_beside_such_a_function():
    def refuse() -> None:
        raise HTTPException(403)

    open_, closed = (FastAPI(generate_unique_id_function=BY["tag"]) for _ in range(2))
    for app, guards in ((open_, []), (closed, [Depends(refuse)])):
        own_routes(app)
        problems.install(app)
        Telemetry().install(app, path="/meters", dependencies=guards)

    with TestClient(open_) as client:
        assert [
            client.get(path).status_code for path in ("/items", "/meters", "/openapi.json")
        ] == [*(200, 200, 200)]
        assert client.get("/problems/NOT_FOUND").status_code == 200
    with TestClient(closed) as client:
        assert client.get("/meters").status_code == 403


def test_a_route_of_the_users_own_on_a_router_of_ours_is_shown_to_it():
    seen = []

    def name(route):
        seen.append(route.name)
        return route.name

    resumable = Resumable(Upload(max_bytes=MiB, accept=(PNG,)), path="/tus")

    @resumable.router.patch("/{upload_id}", status_code=204)
    async def mine(upload_id: str) -> None: ...

    app = FastAPI(generate_unique_id_function=name)
    app.include_router(resumable.router)
    app.openapi()

    assert set(seen) == {"mine"}

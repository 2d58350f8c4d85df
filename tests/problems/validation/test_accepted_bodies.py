"""What FastAPI takes stays taken, but for the differences that the page on errors tells."""

from typing import Annotated

import pytest
from fastapi import APIRouter, Body, FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel

from roadworthy import problems

JSON = "application/json"


class Item(BaseModel):
    n: int


def add(item: Item) -> Item:
    return item


def of_application(app: FastAPI) -> None:
    app.post("/items")(add)


def of_router(app: FastAPI) -> None:
    router = APIRouter(strict_content_type=False)
    router.post("/items")(add)
    app.include_router(router)


def inherited_twice(app: FastAPI) -> None:
    inner, outer = APIRouter(), APIRouter(strict_content_type=False)
    inner.post("/items")(add)
    outer.include_router(inner)
    app.include_router(outer)


def overridden(app: FastAPI) -> None:
    router = APIRouter(strict_content_type=True)
    router.post("/items")(add)
    app.include_router(router)


def mounted(app: FastAPI) -> None:
    inner = FastAPI(strict_content_type=False)
    inner.post("/items")(add)
    app.mount("", inner)


WAYS = [
    (of_application, False, 200),
    (of_application, True, 415),
    (of_router, True, 200),
    (inherited_twice, True, 200),
    (overridden, False, 415),
    (mounted, True, 200),
]


@pytest.mark.parametrize("install_first", [True, False])
@pytest.mark.parametrize(("put", "strict", "status"), WAYS)
def test_json_without_a_content_type_is_taken_where_the_user_says_so(
    put, strict, status, install_first
):
    app = FastAPI(strict_content_type=strict)
    if install_first:
        problems.install(app)
    put(app)
    if not install_first:
        problems.install(app)

    with TestClient(app) as client:
        taken = client.post("/items", content=b'{"n":1}')
        empty_type = client.post("/items", content=b'{"n":1}', headers={"Content-Type": ""})
        text = client.post("/items", content=b'{"n":1}', headers={"Content-Type": "text/plain"})
        twice = client.post("/items", content=b'{"n":1,"n":2}')
        infinite = client.post("/items", content=b'{"n":NaN}')

    assert [taken.status_code, empty_type.status_code] == [status, status]
    assert text.status_code == 415
    if status == 200:
        assert [twice.status_code, infinite.status_code] == [400, 422]


BODIES = [
    ("null", JSON, b"null", 422, 422),
    ("a list", JSON, b"[]", 422, 422),
    ("of another type", JSON, b'{"n":"x"}', 422, 422),
    ("fits", JSON, b'{"n":1}', 200, 200),
    ("of a vendor", "application/vnd.shop+json", b'{"n":1}', 200, 200),
    ("with a charset", "application/json; charset=utf-8", b'{"n":1}', 200, 200),
    ("in capitals", "Application/JSON", b'{"n":1}', 200, 200),
    # Told on the page, "What is refused at the edge":
    ("empty", JSON, b"", 422, 400),
    ("blank", JSON, b" ", 422, 400),
    ("broken", JSON, b"{", 422, 400),
    ("without a type", None, b'{"n":1}', 422, 415),
    ("text", "text/plain", b'{"n":1}', 422, 415),
    ("merge patch", "application/merge-patch+json", b'{"n":1}', 200, 415),
    ("UTF-8 with BOM", JSON, b'\xef\xbb\xbf{"n":1}', 200, 400),
    ("UTF-16", JSON, '{"n":1}'.encode("utf-16"), 200, 400),
    ("name twice", JSON, b'{"n":1,"n":1}', 200, 400),
]


@pytest.mark.parametrize(("what", "kind", "body", "theirs", "ours"), BODIES)
def test_each_body_has_the_status_of_fastapi_or_one_that_the_page_tells(
    what, kind, body, theirs, ours
):
    for installed, status in ((False, theirs), (True, ours)):
        app = FastAPI()
        if installed:
            problems.install(app)
        app.post("/items")(add)
        with TestClient(app) as client:
            headers = {"Content-Type": kind} if kind else {}
            assert client.post("/items", content=body, headers=headers).status_code == status


@pytest.mark.parametrize("body", [b"", b"null", b'{"n":1}'])
def test_a_body_that_is_optional_may_be_left_out_or_null(body):
    app = FastAPI()
    problems.install(app)

    @app.post("/one")
    def one(item: Item | None = None) -> int:
        return item.n if item else 0

    @app.post("/several")
    def several(first: Item | None = None, second: Annotated[int, Body()] = 1) -> int:
        return second

    with TestClient(app) as client:
        for path in ("/one", "/several"):
            if (path, body) == ("/several", b"null"):
                continue  # FastAPI itself finds its parts missing in it
            answer = client.post(path, content=body, headers={"Content-Type": JSON})
            assert answer.status_code == 200, answer.text

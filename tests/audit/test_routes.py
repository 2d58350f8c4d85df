"""Which functions answer requests, and what they are given."""

import pytest

from roadworthy.audit.fastapi import models
from roadworthy.audit.fastapi.routes import routes_in


@pytest.fixture
def routes(codebase):
    def of(text: str, path: str = "app.py"):
        return list(routes_in(codebase(text).module(path)))

    return of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from fastapi import FastAPI\napp = FastAPI()\n@app.get('/x')\ndef f(): ...", "GET /x"),
        (
            (
                "from fastapi import APIRouter\nr = APIRouter(prefix='/v1')\n"
                "@r.patch('/x')\ndef f(): ..."
            ),
            "PATCH /v1/x",
        ),
        (
            (
                "import fastapi as fa\napp = fa.FastAPI()\n"
                "@app.api_route('/x', methods=['PUT'])\ndef f(): ..."
            ),
            "PUT /x",
        ),
        (
            (
                "from fastapi import APIRouter\nclass R(APIRouter): ...\nr = R()\n"
                "@r.post('/x')\ndef f(): ..."
            ),
            "POST /x",
        ),
        (
            (
                "from fastapi import FastAPI\ndef make():\n    app = FastAPI()\n"
                "    @app.delete('/x')\n    def f(): ...\n    return app"
            ),
            "DELETE /x",
        ),
        (
            (
                "from fastapi import APIRouter\nr = APIRouter()\ndef f(): ...\n"
                "r.add_api_route('/x', f, methods=['POST'])"
            ),
            "POST /x",
        ),
        (
            (
                "from fastapi import APIRouter\nclass Shop:\n    router = APIRouter()\n"
                "    @router.get('/x')\n    def f(self): ..."
            ),
            "GET /x",
        ),
        (
            (
                "from fastapi import APIRouter\nfrom elsewhere import router\n"
                "@router.get('/x')\ndef f(): ..."
            ),
            "GET /x",
        ),
    ],
)
def test_routes_are_found_however_they_are_declared(routes, text, expected):
    assert [f"{'/'.join(one.methods)} {one.path}" for one in routes(text)] == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "import httpx\nclient = httpx.Client()\n@client.get('/x')\ndef f(): ...",
        "import fastapi\nfrom functools import cache\n@cache\ndef f(): ...",
        "import fastapi\nfrom mocks import requests_mock\n@requests_mock.get('/x')\ndef f(): ...",
        "import flask\napp = flask.Flask('x')\n@app.get('/x')\ndef f(): ...",
    ],
)
def test_what_only_looks_like_a_route_is_none(routes, text):
    assert routes(text) == []


def test_a_router_of_another_module_is_known(routes):
    text = """
    # file: app.py
    from shop.routing import router
    @router.get("/x")
    def f(): ...
    # file: shop/routing.py
    from fastapi import APIRouter
    router = APIRouter()
    """

    assert [one.function.name for one in routes(text)] == ["f"]


def test_dependencies_are_followed_to_the_end(routes):
    text = """
    from typing import Annotated
    from fastapi import Depends, FastAPI
    app = FastAPI()
    def engine(): ...
    def session(engine=Depends(engine)): ...
    Session = Annotated[object, Depends(session, scope="function")]
    class Users:
        def __init__(self, session: Session): ...
    class Checks:
        def __call__(self, session: Session): ...
        def method(self): ...
    checks = Checks()
    def factory(name):
        def inner(): ...
        return inner
    @app.get("/")
    def f(users: Users = Depends(), checked=Depends(checks), m=Depends(checks.method),
          made=Depends(factory("x"))): ...
    """

    names = {one.function.qualname: one.scope for one in routes(text)[0].dependencies}

    assert names == {
        "Users.__init__": None,
        "Checks.__call__": None,
        "Checks.method": None,
        "factory.inner": None,
        "session": "function",
        "engine": None,
    }


def test_bodies_and_uploads_are_told_from_other_parameters(routes):
    text = """
    from typing import Annotated
    from fastapi import Depends, FastAPI, File, UploadFile
    from pydantic import BaseModel
    app = FastAPI()
    class Item(BaseModel): ...
    class Page(BaseModel): ...
    Upload = Annotated[UploadFile, File()]
    @app.post("/")
    def f(item: Item, page: Annotated[Page, Depends()], one: UploadFile, many: list[UploadFile],
          named: Upload, raw: bytes = File(), n: int = 1): ...
    """

    route = routes(text)[0]

    assert [body.name for body in route.bodies] == ["item"]
    assert [param.name for param in route.uploads] == ["one", "many", "named", "raw"]


def test_fields_of_models_are_known_with_those_they_inherit(codebase):
    module = codebase("""
    from typing import Annotated, ClassVar, Optional
    from pydantic import BaseModel, Field, MISSING
    class Named(BaseModel):
        name: str
        note: Optional[str] = None
    class Item(Named):
        kind: ClassVar[str] = "item"
        price: Annotated[float, Field(gt=0)] = Field(...)
        tags: list[str] = Field(default_factory=list)
        size: "int | None"
        left: int | MISSING = MISSING
    """).module("app.py")

    fields = models.fields(module.classes[1])

    told = {one.name: (one.required, one.nullable, one.default_is_none) for one in fields.values()}
    assert told == {
        "name": (True, False, False),
        "note": (False, True, True),
        "price": (True, False, False),
        "tags": (False, False, False),
        "size": (True, True, False),
        "left": (False, False, False),
    }
    assert fields["left"].default_is_missing


def test_dependencies_of_decorators_and_routers_count(routes):
    text = """
    from fastapi import APIRouter, Depends
    def signed_in(): ...
    def allowed(): ...
    router = APIRouter(dependencies=[Depends(signed_in)])
    @router.get("/", dependencies=[Depends(allowed)])
    def f(): ...
    """

    assert {one.function.name for one in routes(text)[0].dependencies} == {"signed_in", "allowed"}


def test_a_route_has_the_path_that_clients_use(routes):
    text = """
    # file: app.py
    from fastapi import APIRouter
    router = APIRouter(prefix="/orders")
    @router.get("/{id}")
    def f(id: int): ...
    # file: main.py
    from fastapi import FastAPI
    import v1
    def make():
        app = FastAPI()
        app.include_router(v1.router, prefix="/api")
        return app
    # file: v1.py
    from fastapi import APIRouter
    from app import router as orders
    VERSION = "/v1"
    router = APIRouter(prefix=VERSION)
    router.include_router(orders, prefix="/shop")
    """

    assert [one.title for one in routes(text)] == ["GET /api/v1/shop/orders/{id}"]


def test_a_controller_has_the_dependencies_of_its_class(routes):
    text = """
    from fastapi import APIRouter, Depends
    router = APIRouter()
    def get_session(): ...
    class Orders:
        session: object = Depends(get_session)
        @router.get("/")
        def f(self): ...
    """

    assert [one.function.name for one in routes(text)[0].dependencies] == ["get_session"]


ORDERS = """
from fastapi import APIRouter
from shop.access import guarded

router = APIRouter(prefix="/orders")
"""


@pytest.mark.parametrize(
    "declaration",
    [
        '@router.post("/new")\ndef add(): ...',
        '@guarded(router.post, "/new", ["orders.write"])\ndef add(): ...',
        'def add(): ...\n\nrouter.post("/new")(add)',
        'def add(): ...\n\nrouter.add_api_route("/new", add, methods=["POST"])',
    ],
)
def test_a_route_may_be_declared_by_a_call_or_behind_a_wrapper(routes, declaration):
    [route] = routes(ORDERS + declaration)

    assert route.function.name == "add"
    assert route.methods == {"POST"}
    assert route.path.endswith("/new")

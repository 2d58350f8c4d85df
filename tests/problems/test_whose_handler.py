"""A handler that the application registered wins, and is named: never dropped in silence."""

import logging
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi import HTTPException as FastAPIHTTPException
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.testclient import TestClient
from starlette.exceptions import HTTPException

from roadworthy import problems
from roadworthy.problems import NotFound


class Sold(Exception):
    pass


async def mine(request: Any, error: Exception) -> PlainTextResponse:
    return PlainTextResponse("mine", getattr(error, "status_code", 500))


def mine_sync(request: Any, error: Exception) -> PlainTextResponse:
    return PlainTextResponse("mine", getattr(error, "status_code", 500))


def serve(app: FastAPI) -> TestClient:
    @app.get("/items")
    def items(limit: int) -> None: ...

    @app.get("/raised")
    def raised() -> None:
        raise FastAPIHTTPException(409)

    @app.get("/problem")
    def problem() -> None:
        raise NotFound

    @app.get("/sold")
    def sold() -> None:
        raise Sold

    @app.get("/crash")
    def crash() -> None:
        raise RuntimeError

    @app.get("/group")
    def group() -> None:
        raise ExceptionGroup("several", [RuntimeError()])

    return TestClient(app, raise_server_exceptions=False)


def put(app: FastAPI, kind: Any, handler: Any, how: str) -> None:
    if how == "decorator":
        app.exception_handler(kind)(handler)
    else:
        app.add_exception_handler(kind, handler)


CASES: list[tuple[Any, str]] = [
    (HTTPException, "/none"),
    (HTTPException, "/raised"),
    (FastAPIHTTPException, "/raised"),
    (404, "/none"),
    (404, "/problem"),
    (NotFound, "/problem"),
    (RequestValidationError, "/items?limit=x"),
    (Exception, "/crash"),
    (500, "/crash"),
    (Exception, "/group"),
    (500, "/group"),
    (ExceptionGroup, "/group"),
    (Sold, "/sold"),
]


@pytest.mark.parametrize("how", ["constructor", "before", "decorator", "after"])
@pytest.mark.parametrize("handler", [mine, mine_sync])
@pytest.mark.parametrize(("kind", "path"), CASES)
def test_it_wins_and_one_line_at_start_names_it(how, handler, kind, path, caplog):
    app = FastAPI(exception_handlers={kind: handler} if how == "constructor" else None)
    if how == "before":
        put(app, kind, handler, how)
    problems.install(app)
    if how in ("decorator", "after"):
        put(app, kind, handler, how)

    with caplog.at_level(logging.WARNING, "roadworthy.problems"), serve(app) as client:
        lines = [r.getMessage() for r in caplog.records if r.name == "roadworthy.problems"]
        answer = client.get(path)

    assert answer.text == "mine"
    name = str(kind) if isinstance(kind, int) else kind.__name__
    assert len(lines) == 1
    assert f"outside of the contract: {name}." in lines[0]
    assert ("replace=True" in lines[0]) is (kind is not Sold)


@pytest.mark.parametrize("how", ["constructor", "after"])
@pytest.mark.parametrize(("kind", "path"), [case for case in CASES if case[0] is not Sold])
def test_replace_hands_it_over(how, kind, path, caplog):
    app = FastAPI(exception_handlers={kind: mine} if how == "constructor" else None)
    problems.install(app, replace=True)
    if how == "after":
        put(app, kind, mine, how)

    with caplog.at_level(logging.INFO, "roadworthy.problems"), serve(app) as client:
        assert not [r for r in caplog.records if "outside of the contract" in r.getMessage()]
        answer = client.get(path)

    assert answer.headers["x-error-code"] == answer.json()["error"]["code"]


def test_replace_leaves_what_the_contract_has_no_answer_for(caplog):
    app = FastAPI(exception_handlers={Sold: mine})
    problems.install(app, replace=True)

    with caplog.at_level(logging.INFO, "roadworthy.problems"), serve(app) as client:
        assert client.get("/sold").text == "mine"
    assert "Sold" in caplog.text


def test_handlers_that_are_meant_are_named_where_somebody_looks_only(caplog):
    app = FastAPI(exception_handlers={Sold: mine})
    problems.install(app, replace=False)

    with caplog.at_level(logging.WARNING, "roadworthy.problems"), serve(app) as client:
        assert client.get("/sold").text == "mine"
    assert caplog.text == ""


def test_what_frameworks_register_is_nobodys(caplog):
    app = FastAPI()
    problems.install(app)

    with caplog.at_level(logging.INFO, "roadworthy.problems"), serve(app) as client:
        assert client.get("/none").json()["error"]["code"] == "NOT_FOUND"
    assert "outside of the contract" not in caplog.text


def test_a_crash_that_the_application_answers_is_logged_once(caplog):
    app = FastAPI(exception_handlers={Exception: mine})
    problems.install(app, replace=False)

    with serve(app) as client:
        client.get("/crash")
    crashes = [r for r in caplog.records if r.name == "roadworthy.problems" and r.exc_info]
    assert len(crashes) == 1


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("kind", [Exception, 500])
def test_refusals_in_a_group_are_answered_beside_a_handler_of_crashes(first, kind):
    class Sold(problems.Problem):
        """Somebody else has it."""

        status = 409

    app = FastAPI()

    def crash(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"crash": type(error).__name__}, 500)

    if first:
        app.add_exception_handler(kind, crash)
    problems.install(app, replace=False)
    if not first:
        app.add_exception_handler(kind, crash)

    @app.get("/{what}")
    async def raise_group(what: str) -> None:
        raise ExceptionGroup("several", [Sold() if what == "sold" else RuntimeError("a bug")])

    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/sold").status_code == 409
        assert client.get("/sold").json()["error"]["code"] == "SOLD"
        assert client.get("/bug").json() == {"crash": "ExceptionGroup"}

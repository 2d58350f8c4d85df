"""What somebody wrote into a refusal reaches the client: the text, the headers, the code."""

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient
from starlette.exceptions import HTTPException as StarletteHTTPException

from roadworthy import problems

REFUSALS = [400, 401, 403, 404, 405, 409, 413, 415, 418, 422, 428, 429, 451]
FAILURES = [500, 501, 502, 503, 504, 507, 599]


def ask(error: Exception, **options):
    app = FastAPI()
    problems.install(app, **options)

    @app.get("/")
    def refuse() -> None:
        raise error

    with TestClient(app, raise_server_exceptions=False) as client:
        return client.get("/")


def message(answer) -> str:
    return answer.json()["error"]["message"]


@pytest.mark.parametrize("kind", [HTTPException, StarletteHTTPException])
@pytest.mark.parametrize("status", REFUSALS)
def test_the_text_of_a_refusal_reaches_the_client(kind, status):
    assert message(ask(kind(status, "Closed until 9."))) == "Closed until 9."


@pytest.mark.parametrize("kind", [HTTPException, StarletteHTTPException])
@pytest.mark.parametrize("status", FAILURES)
def test_the_text_of_a_failure_reaches_the_client_by_an_option(kind, status, caplog):
    error = kind(status, "Maintenance until 9.")

    hidden, told = ask(error), ask(error, tell_5xx=True)

    assert "Maintenance" not in hidden.text
    assert message(told) == "Maintenance until 9."
    assert "Maintenance until 9." in caplog.text


def test_the_text_of_a_crash_is_never_told():
    for error in (RuntimeError("hunter2"), KeyError("hunter2"), OSError(28, "hunter2")):
        assert "hunter2" not in ask(error, tell_5xx=True).text


@pytest.mark.parametrize("status", [400, 503])
@pytest.mark.parametrize("detail", [{"reason": "taken"}, [{"reason": "taken"}]])
def test_what_is_no_text_is_told_in_details(status, detail):
    answer = ask(HTTPException(status, detail), tell_5xx=True)

    assert answer.json()["error"]["details"] == [{"reason": "taken"}]


def test_a_text_that_belongs_to_another_status_was_written_by_somebody():
    assert message(ask(HTTPException(403, "Unauthorized"))) == "Unauthorized"
    assert message(ask(HTTPException(400, "Not Found"))) == "Not Found"


@pytest.mark.parametrize("status", [*REFUSALS, *FAILURES])
def test_no_header_is_invented(status):
    answer = ask(HTTPException(status, "Because."))

    assert "retry-after" not in answer.headers
    known = {"content-type", "content-length", "vary", "x-error-code", "x-request-id", "allow"}
    assert set(answer.headers) <= known | {"connection"}


@pytest.mark.parametrize("name", ["Retry-After", "retry-after", "RETRY-AFTER", "rEtRy-AfTeR"])
@pytest.mark.parametrize("status", [429, 503])
def test_names_of_headers_have_no_case(name, status):
    answer = ask(HTTPException(status, "Later.", headers={name: "900"}))

    assert answer.headers.get_list("retry-after") == ["900"]


@pytest.mark.parametrize("name", ["Allow", "allow", "ALLOW"])
def test_what_a_405_allows_is_sent_once(name):
    answer = ask(HTTPException(405, "Not on Sundays.", headers={name: "POST"}))

    assert answer.headers.get_list("allow") == ["POST"]


def test_a_header_that_is_written_twice_is_sent_once():
    answer = ask(HTTPException(503, headers={"Retry-After": "1", "retry-after": "2"}))

    assert answer.headers.get_list("retry-after") == ["2"]


def test_a_503_of_ours_says_what_it_was_told():
    assert ask(problems.ServiceUnavailable(retry_after=7)).headers["retry-after"] == "7"
    assert ask(problems.ServiceUnavailable()).headers["retry-after"] == "1"


@pytest.mark.parametrize("name", ["X-Error-Code", "x-error-code"])
def test_a_code_that_a_developer_gave_is_the_code(name):
    answer = ask(HTTPException(409, "Only 3 left.", headers={name: "OUT_OF_STOCK"}))

    assert answer.headers.get_list("x-error-code") == ["OUT_OF_STOCK"]
    assert answer.json()["error"]["code"] == "OUT_OF_STOCK"


@pytest.mark.parametrize("code", ["", "two words", "a\r\nb", "a" * 65, "é", "<b>"])
def test_a_code_that_is_no_name_is_not_sent(code):
    answer = ask(HTTPException(409, "No.", headers={"X-Error-Code": code}))

    assert answer.headers.get_list("x-error-code") == ["CONFLICT"]


def test_the_page_of_such_a_code_is_that_of_its_status():
    error = HTTPException(409, "No.", headers={"X-Error-Code": "OUT_OF_STOCK"})

    document = ask(error, default="problem+json").json()

    assert (document["type"], document["code"]) == ("/problems/CONFLICT", "OUT_OF_STOCK")


def test_clients_that_read_detail_find_it_where_rfc_9457_is_the_default():
    answer = ask(HTTPException(409, "This name is taken."), default="problem+json")

    assert answer.json()["detail"] == "This name is taken."

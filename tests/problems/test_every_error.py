"""Rows E1 to E15 of the failure catalogue: whatever fails, the answer has one shape."""

import json

import pytest

JSON = {"Content-Type": "application/json"}
ORIGIN = {"Origin": "http://front"}
SECRETS = ("hunter2", "078-05-1120", "secret", "Traceback", "/srv/")


def assert_envelope(reply, *, status, code):
    assert reply.status == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["content-length"] == str(len(reply.body))
    assert reply.headers["x-error-code"] == code
    error = reply.json()["error"]
    assert list(error) == ["code", "message", "path", "request_id", "details"]
    assert error["code"] == code
    assert error["message"]
    assert error["request_id"] == reply.headers["x-request-id"]
    assert isinstance(error["details"], list)
    for secret in SECRETS:
        assert secret not in reply.text
    return error


def pointers(error):
    return [(detail["pointer"], detail["in"], detail["code"]) for detail in error["details"]]


EVERY_FAILURE = [
    # E1, E6: what FastAPI and its router refuse
    ("GET", "/nowhere", {}, 404, "NOT_FOUND"),
    ("DELETE", "/orders", {}, 405, "METHOD_NOT_ALLOWED"),
    ("GET", "/search?limit=0", {}, 422, "VALIDATION_FAILED"),
    ("POST", "/orders", {"json": {"name": ""}}, 422, "VALIDATION_FAILED"),
    ("POST", "/orders", {}, 400, "MALFORMED_BODY"),
    ("POST", "/two", {}, 400, "MALFORMED_BODY"),
    ("POST", "/orders", {"body": b"{", "headers": JSON}, 400, "MALFORMED_BODY"),
    ("POST", "/orders", {"body": b"\xff\xfe", "headers": JSON}, 400, "MALFORMED_BODY"),
    ("POST", "/orders", {"body": b'{"name":1,"name":2}', "headers": JSON}, 400, "MALFORMED_BODY"),
    ("POST", "/orders", {"body": b"[" * 101 + b"]" * 101, "headers": JSON}, 400, "MALFORMED_BODY"),
    ("POST", "/orders", {"body": b"{}"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    (
        "POST",
        "/orders",
        {"body": b"\xff", "headers": {"Content-Type": "image/png"}},
        415,
        "UNSUPPORTED_MEDIA_TYPE",
    ),
    (
        "POST",
        "/orders",
        {"body": b"{}", "headers": {"Content-Type": "application/merge-patch+json"}},
        415,
        "UNSUPPORTED_MEDIA_TYPE",
    ),
    (
        "POST",
        "/files",
        {"body": b"x", "headers": {"Content-Type": "multipart/form-data"}},
        400,
        "MALFORMED_BODY",
    ),
    # E2, E15: our own bugs
    ("GET", "/boom", {}, 500, "INTERNAL_ERROR"),
    ("GET", "/own-data", {}, 500, "INTERNAL_ERROR"),
    # E9: what we raise, wherever
    ("GET", "/stock", {}, 409, "INSUFFICIENT_STOCK"),
    ("GET", "/v1/stock", {}, 409, "INSUFFICIENT_STOCK"),
    ("GET", "/mounted/stock", {}, 409, "INSUFFICIENT_STOCK"),
    ("GET", "/mounted/boom", {}, 500, "INTERNAL_ERROR"),
    ("GET", "/mounted/nowhere", {}, 404, "NOT_FOUND"),
    ("POST", "/mounted/orders", {"json": {"name": ""}}, 422, "VALIDATION_FAILED"),
    ("GET", "/group", {}, 409, "INSUFFICIENT_STOCK"),
    ("GET", "/group?bug=true", {}, 500, "INTERNAL_ERROR"),
    ("GET", "/middleware/problem", {}, 409, "INSUFFICIENT_STOCK"),
    ("GET", "/middleware/crash", {}, 500, "INTERNAL_ERROR"),
    ("GET", "/middleware/text", {}, 403, "FORBIDDEN"),
    ("GET", "/me", {}, 401, "NOT_SIGNED_IN"),
    ("GET", "/http/404", {}, 404, "NOT_FOUND"),
    ("GET", "/http/418", {}, 418, "IM_A_TEAPOT"),
    ("GET", "/http/500", {}, 500, "INTERNAL_ERROR"),
    ("GET", "/http-plain/403", {}, 403, "FORBIDDEN"),
    ("GET", "/http-plain/599", {}, 599, "ERROR"),
    ("GET", "/http-details", {}, 409, "CONFLICT"),
    ("GET", "/stock", {"headers": {"Host": "elsewhere"}}, 400, "BAD_REQUEST"),
    # E7: the body limit, declared and not
    ("POST", "/orders", {"body": b"x" * 3000, "headers": JSON}, 413, "PAYLOAD_TOO_LARGE"),
    ("POST", "/orders", {"chunks": [b"x" * 3000], "headers": JSON}, 413, "PAYLOAD_TOO_LARGE"),
    ("POST", "/http/404", {"body": b"x" * 3000}, 413, "PAYLOAD_TOO_LARGE"),
    # E14: a full disk is ours, not the client's
    ("POST", "/disk-full", {}, 507, "INSUFFICIENT_STORAGE"),
    ("POST", "/disk-full-write", {}, 507, "INSUFFICIENT_STORAGE"),
    # a renderer that cannot fail
    ("GET", "/unrenderable", {}, 400, "UNRENDERABLE"),
]


@pytest.mark.parametrize(("method", "target", "what", "status", "code"), EVERY_FAILURE)
def test_every_failure_answers_in_the_envelope(client, method, target, what, status, code):
    reply = client.request(method, target, **what)

    assert_envelope(reply, status=status, code=code)


@pytest.mark.parametrize(("method", "target", "what", "status", "code"), EVERY_FAILURE)
def test_every_failure_answers_in_rfc_9457_for_who_asks(client, method, target, what, status, code):
    headers = {**what.get("headers", {}), "Accept": "application/problem+json"}

    reply = client.request(method, target, **{**what, "headers": headers})

    assert reply.status == status
    assert reply.headers["content-type"] == "application/problem+json"
    document = reply.json()
    assert document["type"] == f"/problems/{code}"
    assert document["status"] == status
    assert document["code"] == code == reply.headers["x-error-code"]
    assert document["request_id"] == reply.headers["x-request-id"]
    assert {"title", "detail", "instance", "errors"} <= document.keys()


@pytest.mark.parametrize(("method", "target", "what", "status", "code"), EVERY_FAILURE)
def test_every_failure_carries_cors_headers(client, method, target, what, status, code):
    """E7, E8: without them a browser sees a network error instead of the answer."""
    headers = {**what.get("headers", {}), **ORIGIN}

    reply = client.request(method, target, **{**what, "headers": headers})

    assert reply.headers["access-control-allow-origin"] == "http://front"
    assert [n for n, _ in reply.header_lines].count("access-control-allow-origin") == 1
    assert reply.headers["x-request-id"]


def test_most_of_these_escape_the_contract_without_install(serve, contract_app):
    """The tests above would be worth nothing if FastAPI passed them by itself."""
    from support.http import RawClient

    server = serve(contract_app, env={"INSTALL": "off"})
    inside = 0
    for method, target, what, *_ in EVERY_FAILURE:
        with RawClient(server.port) as client:
            reply = client.request(method, target, **what)
            inside += "x-error-code" in reply.headers and b'"error"' in reply.body

    assert inside == 0


@pytest.mark.parametrize(("method", "target"), [("GET", "/boom"), ("POST", "/disk-full")])
def test_the_log_has_the_cause_under_the_request_id(server, client, method, target):
    identity = f"cause-{target.strip('/')}"

    client.request(method, target, headers={"X-Request-ID": identity})

    log = server.log_text()
    assert f"[{identity}]" in log
    assert "hunter2" in log if target == "/boom" else "No space left on device" in log


def test_a_405_says_what_is_allowed(client):
    assert client.request("PUT", "/orders").headers["allow"] == "POST"


def test_field_errors_name_fields_and_members_that_are_harmless_text(client):
    body = {
        "name": "",
        "lines": [{"quantity": 0, "quantitiy": 1}],
        "attributes": {"red": "secret", "hunter2 ": "secret"},
        "078-05-1120!": True,
        "email": "hunter2@@secret",
        "uuid": "secret-zzz",
    }

    error = assert_envelope(
        client.request("POST", "/orders", json=body), status=422, code="VALIDATION_FAILED"
    )

    assert pointers(error) == [
        ("/name", "body", "string_too_short"),
        ("/lines/0/quantity", "body", "greater_than"),
        ("/lines/0/quantitiy", "body", "extra_forbidden"),
        ("/attributes/red", "body", "int_parsing"),
        ("/attributes", "body", "int_parsing"),
        ("/email", "body", "value_error"),
        ("/uuid", "body", "uuid_parsing"),
        ("", "body", "extra_forbidden"),
    ]


def test_pointers_reach_into_bodies_of_several_parameters_and_included_routers(client):
    error = client.request("POST", "/two", json={"first": {"name": 1}, "second": {}}).json()
    routed = client.request("POST", "/v1/orders/x", json={"name": 1}).json()

    assert pointers(error["error"])[0] == ("/first/name", "body", "string_type")
    assert pointers(routed["error"]) == [
        ("/number", "path", "int_parsing"),
        ("/name", "body", "string_type"),
    ]


def test_parameters_are_pointed_to_where_they_stand(client):
    reply = client.request("GET", "/search?limit=0", headers={"X-Tenant": "hunter2"})

    assert pointers(reply.json()["error"]) == [
        ("/limit", "query", "greater_than_equal"),
        ("/x-tenant", "header", "int_parsing"),
    ]


def test_the_text_of_our_exceptions_stays_inside(client):
    """E3: a ValueError in a validator neither breaks the answer nor is quoted in it."""
    reply = client.request("POST", "/orders", json={"name": "a", "lo": 4711, "hi": 1})

    error = assert_envelope(reply, status=422, code="VALIDATION_FAILED")
    assert pointers(error) == [("", "body", "value_error")]
    assert "4711" not in reply.text


@pytest.mark.parametrize(
    ("colour", "message"), [("told", "Choose red or green"), ("hunter2", "Input is not valid")]
)
def test_an_error_written_for_clients_is_shown_unless_it_was_filled_in(client, colour, message):
    reply = client.request("POST", "/custom", json={"colour": colour})

    assert reply.json()["error"]["details"][0]["message"] == message
    assert "hunter2" not in reply.text


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"NaN", "finite_number"),
        (b"-Infinity", "finite_number"),
        (b"1e999", "finite_number"),
        (b'"\\ud800"', "string_unstorable"),
        (b'"a\\u0000b"', "string_unstorable"),
        (b"9" * 30, "int_too_large"),
    ],
)
def test_no_hostile_value_turns_a_422_into_a_500(client, value, code):
    """E4."""
    reply = client.request("POST", "/orders", body=b'{"name":%s}' % value, headers=JSON)

    error = assert_envelope(reply, status=422, code="VALIDATION_FAILED")
    assert pointers(error) == [("/name", "body", code)]


def test_secrets_are_not_echoed(client):
    """E5."""
    reply = client.request("POST", "/login", json={"user": "ann", "password": "hunter2"})

    error = assert_envelope(reply, status=422, code="VALIDATION_FAILED")
    assert pointers(error) == [("/pin", "body", "missing")]
    assert "ann" not in reply.text


def test_a_thousand_mistakes_are_not_a_megabyte_of_answer(client):
    lines = [{"quantity": 0}] * 100

    reply = client.request("POST", "/orders", json={"name": "", "lines": lines})

    assert len(reply.json()["error"]["details"]) == 100


def test_the_path_is_cut_and_shown_without_its_query(client):
    reply = client.request("GET", "/" + "a" * 900 + "?token=hunter2")

    assert reply.json()["error"]["path"] == "/" + "a" * 499


def test_members_are_told_in_details(client):
    assert client.request("GET", "/stock").json()["error"] | {"request_id": ""} == {
        "code": "INSUFFICIENT_STOCK",
        "message": "Only 3 of item-001 are left.",
        "path": "/stock",
        "request_id": "",
        "details": [{"item_id": "item-001", "available": 3}],
    }


def test_an_http_exception_keeps_what_the_developer_told(client):
    reply = client.request("GET", "/http/404")

    assert reply.json()["error"]["message"] == "told by the developer"
    assert reply.headers["x-reason"] == "because"


def test_an_http_exception_of_5xx_does_not_say_why(client):
    assert "told by" not in client.request("GET", "/http/500").text


def test_a_503_of_a_developer_promises_nothing_that_nobody_wrote(client):
    assert "retry-after" not in client.request("GET", "/http/503").headers


def test_a_304_stays_a_304(client):
    reply = client.request("GET", "/not-modified")

    assert (reply.status, reply.body) == (304, b"")
    assert reply.headers["etag"] == '"1"'


def test_a_route_that_takes_text_still_does(client):
    headers = {"Content-Type": "text/plain"}

    assert client.request("POST", "/text", body=b"hello", headers=headers).json() == "hello"


@pytest.mark.parametrize("route", ["/header", "/returned-header"])
def test_header_values_cannot_start_a_header(client, route):
    """E11: a line break in a value is no line break on the wire."""
    reply = client.request("GET", f"{route}?value=a%0d%0aX-Evil:%201")

    assert "x-evil" not in reply.headers
    assert reply.headers["x-echo"] == "a  X-Evil: 1"


def test_a_header_value_that_is_not_latin_1_does_not_break_the_error(client):
    reply = client.request("GET", "/header?value=%E2%82%AC")

    assert (reply.status, reply.headers["x-echo"]) == (400, "?")


def test_the_default_can_be_turned_round(serve, contract_app):
    from support.http import RawClient

    server = serve(contract_app, env={"DEFAULT": "problem+json"})
    with RawClient(server.port) as client:
        plain = client.request("GET", "/stock")
        asked = client.request("GET", "/stock", headers={"Accept": "application/json"})

    assert plain.headers["content-type"] == "application/problem+json"
    assert "error" in asked.json()


@pytest.mark.parametrize(
    "code", ["INSUFFICIENT_STOCK", "VALIDATION_FAILED", "INTERNAL_ERROR", "IM_A_TEAPOT"]
)
def test_each_type_answers_with_a_page(client, code):
    reply = client.request("GET", f"/problems/{code}")

    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/html")
    assert code in reply.text


def test_a_type_that_nothing_has_is_not_found(client):
    reply = client.request("GET", "/problems/%3Cscript%3E")

    assert_envelope(reply, status=404, code="NOT_FOUND")


def test_a_head_request_gets_the_status_and_no_body(client):
    reply = client.request("HEAD", "/nowhere")

    assert (reply.status, reply.headers["x-error-code"]) == (404, "NOT_FOUND")
    assert client.request("GET", "/slow").json() == "done"


def test_the_request_id_is_the_callers_where_it_is_safe(client):
    reply = client.request("GET", "/slow", headers={"X-Request-ID": "Order-7_a.b"})

    assert reply.headers["x-request-id"] == "Order-7_a.b"


@pytest.mark.parametrize("bad", ["", "a b", "a" * 129, "é", "a;b", '{"a":1}'])
def test_the_request_id_is_a_new_one_where_it_is_not(client, bad):
    reply = client.request("GET", "/slow", headers={"X-Request-ID": bad})

    assert reply.headers["x-request-id"] not in {bad, ""}


def test_the_request_id_is_in_the_log_and_in_what_the_request_starts(server, client):
    reply = client.request("GET", "/ids", headers={"X-Request-ID": "started-1"})

    assert set(reply.json().values()) == {"started-1"}
    assert "shop [started-1] in the endpoint" in server.log_text()


def test_json_sent_by_a_client_is_read_as_utf_8(client):
    body = json.dumps({"name": "Größe 😀"}, ensure_ascii=False).encode()

    assert client.request("POST", "/orders", body=body, headers=JSON).json()["name"] == "Größe 😀"

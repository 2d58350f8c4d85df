"""CONTRACT: Every response, Every error."""

import json
import re
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

Add = Callable[..., dict[str, Any]]
JSON = {"Content-Type": "application/json"}
LIMIT = 2**20


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nope", 404, "NOT_FOUND"),
        ("GET", "/no-such-place", 404, "NOT_FOUND"),
        ("GET", "/inventory/", 404, "NOT_FOUND"),
        ("PUT", "/inventory", 405, "METHOD_NOT_ALLOWED"),
        ("PUT", "/inventory/x", 405, "METHOD_NOT_ALLOWED"),
        ("DELETE", "/orders", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/livez", 405, "METHOD_NOT_ALLOWED"),
        ("TRACE", "/inventory", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/inventory/nope", 404, "ITEM_NOT_FOUND"),
        ("GET", "/orders/nope", 404, "ORDER_NOT_FOUND"),
        ("GET", "/inventory?limit=0", 422, "VALIDATION_FAILED"),
    ],
)
def test_every_error_has_one_shape(
    client: httpx.Client, method: str, path: str, status: int, code: str
) -> None:
    answer = client.request(method, path, headers={"Origin": "http://localhost:3000"})

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] in {"*", "http://localhost:3000"}
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "path", "request_id", "details"}
    assert error["code"] == answer.headers["x-error-code"] == code
    assert error["request_id"] == answer.headers["x-request-id"]
    assert error["path"] == urlsplit(path).path


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/inventory", {"GET", "POST"}),
        ("/inventory/x", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("/orders", {"POST"}),
    ],
)
def test_405_says_what_is_allowed(client: httpx.Client, path: str, allowed: set[str]) -> None:
    answer = client.put(path)

    assert allowed <= {method.strip() for method in answer.headers["allow"].split(",")}


def test_a_client_that_prefers_it_gets_rfc_9457(client: httpx.Client) -> None:
    answer = client.get("/inventory/nope", headers={"Accept": "application/problem+json"})

    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert {k: problem[k] for k in ("status", "instance", "code")} == {
        "status": 404,
        "instance": "/inventory/nope",
        "code": "ITEM_NOT_FOUND",
    }
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert client.get(problem["type"]).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nope",
        b'{"name": "a", "name": "b", "quantity": 1, "price": 1}',
        b"\xff\xfe{\x00}\x00",
        b'{"name": "\xff"}',
        b"[" * 200 + b"]" * 200,
        b"[" * 100_000,
        b'{"a": 1} {"b": 2}',
    ],
)
@pytest.mark.parametrize("path", ["/inventory", "/orders"])
def test_a_body_that_does_not_parse_is_malformed(
    client: httpx.Client, path: str, body: bytes
) -> None:
    answer = client.post(path, content=body, headers=JSON)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "MALFORMED_BODY")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "x"])
def test_another_media_type_is_refused(client: httpx.Client, media_type: str) -> None:
    answer = client.post("/inventory", content=b"{}", headers={"Content-Type": media_type})

    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("path", ["/inventory", "/orders", "/livez"])
def test_a_body_over_the_limit_is_refused(client: httpx.Client, path: str, declared: bool) -> None:
    """E7."""
    body = json.dumps({"name": "x" * LIMIT}).encode()
    content: Any = body if declared else iter([body[:1000], body[1000:]])

    answer = client.post(path, content=content, headers={**JSON, "Origin": "http://localhost:3000"})

    if path == "/livez":
        assert answer.status_code in {405, 413}
        return
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert "access-control-allow-origin" in answer.headers
    assert answer.json()["error"]["request_id"] == answer.headers["x-request-id"]


SECRET = "hunter2-and-some-more"
NAME = f"{SECRET} !"
"""A member's own name is told where it is harmless text, and not otherwise."""


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/inventory", {"name": {"a": SECRET}, "quantity": SECRET, "price": SECRET}),
        ("POST", "/inventory", {NAME: 1}),
        ("POST", "/inventory", {"attributes": {NAME: 10**30}}),
        ("POST", "/inventory", {"id": f"{SECRET} x", "name": "a", "quantity": 1, "price": 1}),
        ("POST", "/orders", {"customer_email": SECRET, "lines": [{NAME: SECRET}]}),
        (
            "POST",
            "/orders",
            {"customer_email": "a@example.com", "lines": [{"item_id": SECRET, "quantity": 1}]},
        ),
        ("GET", f"/inventory?cursor={SECRET}&limit={SECRET}&is_active={SECRET}", None),
        ("GET", f"/reports/financial?days={SECRET}", None),
        ("GET", f"/nope?token={SECRET}", None),
    ],
)
@pytest.mark.parametrize("accept", ["application/json", "application/problem+json"])
def test_no_error_repeats_what_was_sent(
    client: httpx.Client, method: str, path: str, body: object, accept: str
) -> None:
    """E5."""
    headers = {"Accept": accept, "If-Match": SECRET, "Authorization": SECRET}

    answer = client.request(method, path, json=body, headers=headers)

    assert answer.status_code >= 400
    assert SECRET not in answer.text
    assert SECRET not in str(answer.headers)


@pytest.mark.parametrize("given", ["a", "A-b.c_9", "x" * 128])
def test_a_request_id_of_the_caller_is_kept(client: httpx.Client, given: str) -> None:
    for path in ("/livez", "/nope", "/inventory?limit=0"):
        answer = client.get(path, headers={"X-Request-ID": given})

        assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "a/b", "<script>"])
def test_a_request_id_that_does_not_fit_is_replaced(client: httpx.Client, given: str) -> None:
    answer = client.get("/livez", headers={"X-Request-ID": given})

    assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", answer.headers["x-request-id"])
    assert answer.headers["x-request-id"] != given


def test_the_path_of_an_error_is_cut(client: httpx.Client) -> None:
    answer = client.get("/" + "x" * 5000 + "?secret=1")

    assert answer.json()["error"]["path"] == "/" + "x" * 499


def test_a_browser_may_read_the_headers_that_matter(client: httpx.Client) -> None:
    answer = client.get("/livez", headers={"Origin": "http://localhost:3000"})

    exposed = answer.headers["access-control-expose-headers"].lower()
    assert all(name in exposed for name in ("x-request-id", "x-error-code", "etag", "location"))


def test_another_origin_is_not_allowed(client: httpx.Client) -> None:
    answer = client.get("/livez", headers={"Origin": "http://evil.example"})

    assert "access-control-allow-origin" not in answer.headers


def test_a_browser_may_ask_first(client: httpx.Client) -> None:
    answer = client.options(
        "/inventory/x",
        headers={
            "Origin": "http://localhost:3000",
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "content-type, if-match",
        },
    )

    assert answer.status_code == 200
    assert "PATCH" in answer.headers["access-control-allow-methods"]


def test_an_error_does_not_cut_the_next_request_on_its_connection(depot: Any) -> None:
    """B2."""
    parts = urlsplit(depot.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        for _ in range(5):
            connection.sendall(
                b"POST /inventory HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Content-Length: 1\r\n\r\n{"
            )
            answer = b""
            while not answer.endswith(b"}}"):
                received = connection.recv(65536)
                assert received, "the connection was cut"
                answer += received
            assert answer.startswith(b"HTTP/1.1 400"), answer


def test_the_log_names_the_request_and_not_its_secrets(depot: Any, client: httpx.Client) -> None:
    client.get(f"/inventory/nope?token={SECRET}", headers={"X-Request-ID": "find-me"})
    client.get("/livez")

    lines = [line for line in depot.lines if "find-me" in line]
    assert len(lines) == 1
    assert "GET /inventory/{item_id} 404" in lines[0]
    assert SECRET not in depot.log

"""A client writes to the store by itself: what it wrote is judged before it counts."""

import time
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import httpx
import pytest

from roadworthy.uploads import Direct, Upload
from roadworthy.uploads.types import PNG
from support.sample_files import png, zip_of
from support.server import Server

APP = Path(__file__).with_name("direct_service.py")


@pytest.fixture
def client(serve: Callable[..., Server], object_url: str):
    server = serve(APP, factory=True, env={"OBJECT_URL": object_url})
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


def offered(client: httpx.Client, **asked: str) -> dict[str, Any]:
    return client.get("/offer", params={"filename": "a.png", **asked}).json()


def send(offer: dict[str, Any], content: bytes) -> None:
    sent = httpx.request(offer["method"], offer["url"], headers=offer["headers"], content=content)
    assert sent.status_code == 200, sent.text


def confirm(client: httpx.Client, ticket: str, **more: Any) -> httpx.Response:
    params = {"owner": more.pop("owner")} if "owner" in more else {}
    return client.post("/confirm", json={"ticket": ticket, **more}, params=params)


def refused(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.headers["x-error-code"]


def test_what_a_client_wrote_is_judged_kept_and_served(client):
    offer = offered(client)
    send(offer, png())

    kept = confirm(client, offer["ticket"])

    assert kept.status_code == 201
    assert (kept.json()["name"], kept.json()["type"]) == ("a.png", "image/png")
    assert client.get("/content", params={"key": kept.json()["key"]}).content == png()
    assert client.get("/keys").json() == [kept.json()["key"]]


def test_what_is_written_after_the_confirmation_changes_nothing(client):
    offer = offered(client)
    send(offer, png())
    key = confirm(client, offer["ticket"]).json()["key"]

    send(offer, b"<script>")

    assert client.get("/content", params={"key": key}).content == png()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (zip_of({"a": b"b"}), (415, "UNSUPPORTED_MEDIA_TYPE")),
        (png() + b"more", (422, "FILE_REJECTED")),
        (png() + bytes(1024 * 1024), (413, "PAYLOAD_TOO_LARGE")),
    ],
)
def test_what_the_policy_refuses_is_removed(client, content, expected):
    offer = offered(client)
    send(offer, content)

    assert refused(confirm(client, offer["ticket"])) == expected
    assert client.get("/keys").json() == []


def test_a_confirmation_needs_a_file_and_counts_once(client):
    offer = offered(client)

    assert refused(confirm(client, offer["ticket"])) == (409, "NOT_UPLOADED")
    send(offer, png())
    assert confirm(client, offer["ticket"]).status_code == 201
    assert refused(confirm(client, offer["ticket"])) == (409, "NOT_UPLOADED")


def test_a_confirmation_that_is_refused_by_the_service_may_be_repeated(client):
    offer = offered(client)
    send(offer, png())

    assert refused(confirm(client, offer["ticket"], refuse=True)) == (409, "CONFLICT")
    assert confirm(client, offer["ticket"]).status_code == 201
    assert len(client.get("/keys").json()) == 1


def test_a_confirmation_that_cannot_be_served_now_may_be_repeated(serve, object_url):
    server = serve(APP, factory=True, env={"OBJECT_URL": object_url, "MAX_IN_FLIGHT": "10"})
    with httpx.Client(base_url=server.url, timeout=30) as client:
        offer = offered(client)
        send(offer, png())

        assert refused(confirm(client, offer["ticket"])) == (503, "SERVICE_UNAVAILABLE")
        assert len(client.get("/keys").json()) == 1


def test_a_secret_that_can_be_guessed_is_refused():
    with pytest.raises(ValueError, match="too short"):
        Direct(Upload(max_bytes=1, accept=(PNG,)), secret=b"x" * 31)


def test_a_ticket_of_somebody_else_or_none_of_ours_is_refused(client):
    offer = offered(client, owner="ann")
    send(offer, png())
    ticket = offer["ticket"]
    other = offered(client, owner="bob")["ticket"]
    mixed = [
        "".join(f"{a.split('.')[0]}.{b.split('.')[1]}") for a, b in permutations([ticket, other])
    ]

    assert refused(confirm(client, ticket, owner="bob")) == (422, "TICKET_INVALID")
    for forged in ("", ".", "é.é", ticket[:-1], ticket + "0", *mixed, "x" * 100_000):
        assert refused(confirm(client, forged, owner="ann")) == (422, "TICKET_INVALID")
    assert confirm(client, ticket, owner="ann").status_code == 201


def test_an_offer_expires(serve, object_url):
    env = {"OBJECT_URL": object_url, "EXPIRES": "4"}
    server = serve(APP, factory=True, env=env)
    with httpx.Client(base_url=server.url) as client:
        offer = offered(client)
        send(offer, png())
        time.sleep(8.2)

        late = httpx.put(offer["url"], headers=offer["headers"], content=png())
        assert late.status_code == 403
        assert refused(confirm(client, offer["ticket"])) == (422, "TICKET_INVALID")

"""What each part changes for the clients of the service, as the page tells them."""

from collections.abc import Iterator
from queue import SimpleQueue

import pytest
from fastapi.testclient import TestClient

from synchronous import after
from synchronous.test_service import PASSWORD, signed_up


@pytest.fixture
def client(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(after, "sent", SimpleQueue())
    with TestClient(after.create_app(migrated_url), raise_server_exceptions=False) as client:
        yield client


def test_a_detail_stays_where_clients_read_it(client: TestClient):
    answer = client.get("/items/00000000-0000-0000-0000-000000000000", headers=signed_up(client))

    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "Item not found"
    assert answer.json()["code"] == "NOT_FOUND"


def test_what_does_not_fit_is_in_errors(client: TestClient):
    answer = client.post("/items/", json={"title": ""}, headers=signed_up(client))

    assert isinstance(answer.json()["detail"], str)
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/title"]


def test_a_null_that_cannot_be_stored_is_refused_with_its_pointer(client: TestClient):
    ann = signed_up(client)
    path = f"/items/{client.post('/items/', json={'title': 'Cup'}, headers=ann).json()['id']}"

    refused = client.patch(path, json={"title": None}, headers=ann)

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/title"
    assert client.get(path, headers=ann).json()["title"] == "Cup"


def test_an_email_that_is_taken_sends_no_second_mail(client: TestClient):
    signed_up(client)
    assert after.sent.get(timeout=20) == "ann@example.com"

    body = {"email": "ann@example.com", "password": PASSWORD}

    assert client.post("/users/signup", json=body).status_code == 409
    signed_up(client, "bob@example.com")
    assert after.sent.get(timeout=20) == "bob@example.com"


def test_an_item_that_is_sent_twice_under_one_key_is_made_once(client: TestClient):
    ann = signed_up(client) | {"Idempotency-Key": "one"}

    first, second = (client.post("/items/", json={"title": "Cup"}, headers=ann) for _ in range(2))

    assert second.json() == first.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert len(client.get("/items/", headers=ann).json()) == 1


def test_probes_tell_that_the_database_is_there(client: TestClient):
    assert client.get("/readyz").status_code == 200
    assert client.get("/health").json()["dependencies"]["database"]["status"] == "connected"

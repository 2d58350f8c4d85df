"""What the service's clients rely on, before and after: the same requests, the same answers."""

import uuid

import pytest
from fastapi.testclient import TestClient

PASSWORD = "correct horse"


def signed_up(client: TestClient, email: str = "ann@example.com") -> dict[str, str]:
    """Return the headers of a new user."""
    client.post("/users/signup", json={"email": email, "password": PASSWORD})
    form = {"username": email, "password": PASSWORD}
    token = client.post("/login/access-token", data=form).json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


def test_a_user_signs_up_and_logs_in(client: TestClient):
    ann = signed_up(client)

    me = client.get("/users/me", headers=ann)

    assert me.status_code == 200
    assert me.json()["email"] == "ann@example.com"
    assert "hashed_password" not in me.json()


@pytest.mark.sampled
def test_a_wrong_password_is_refused(client: TestClient):
    signed_up(client)

    form = {"username": "ann@example.com", "password": "wrong"}

    assert client.post("/login/access-token", data=form).status_code == 400


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("authorization", "status"),
    [(None, 401), ("Bearer x.y", 403), (f"Bearer {uuid.uuid4()}.{'0' * 64}", 403)],
)
def test_who_cannot_be_known_is_refused(client: TestClient, authorization: str | None, status: int):
    headers = {"Authorization": authorization} if authorization else {}

    assert client.get("/users/me", headers=headers).status_code == status


@pytest.mark.sampled
def test_an_email_is_taken_once(client: TestClient):
    signed_up(client)

    again = client.post("/users/signup", json={"email": "ann@example.com", "password": PASSWORD})

    assert again.status_code == 409


def test_a_short_password_is_refused(client: TestClient):
    answer = client.post("/users/signup", json={"email": "a@example.com", "password": "short"})

    assert answer.status_code == 422


def test_who_is_not_active_hears_it_from_the_service_s_own_handler(client: TestClient):
    body = {"email": "off@example.com", "password": PASSWORD, "is_active": False}
    client.post("/users/signup", json=body)
    form = {"username": "off@example.com", "password": PASSWORD}
    token = client.post("/login/access-token", data=form).json()["access_token"]

    answer = client.get("/users/me", headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 400
    assert answer.json() == {"detail": "Inactive user"}


@pytest.mark.sampled
def test_a_user_changes_a_name_and_nothing_else(client: TestClient):
    ann = signed_up(client)

    changed = client.patch("/users/me", json={"full_name": "Ann"}, headers=ann)

    assert changed.status_code == 200
    assert (changed.json()["full_name"], changed.json()["email"]) == ("Ann", "ann@example.com")
    assert client.get("/users/me", headers=ann).json() == changed.json()


@pytest.mark.sampled
def test_an_item_is_made_read_changed_listed_and_deleted(client: TestClient):
    ann = signed_up(client)
    made = client.post("/items/", json={"title": "Cup", "description": "Blue"}, headers=ann).json()
    path = f"/items/{made['id']}"

    assert client.get(path, headers=ann).json() == made
    changed = client.patch(path, json={"title": "Mug"}, headers=ann).json()
    assert changed == {**made, "title": "Mug"}
    assert client.get("/items/", headers=ann).json() == [changed]
    assert client.patch(path, json={"description": None}, headers=ann).json()["description"] is None
    assert client.delete(path, headers=ann).status_code == 200
    assert client.get(path, headers=ann).status_code == 404


@pytest.mark.sampled
def test_the_items_of_others_are_theirs(client: TestClient):
    ann, bob = signed_up(client), signed_up(client, "bob@example.com")
    made = client.post("/items/", json={"title": "Cup"}, headers=ann).json()

    answers = [
        client.get(f"/items/{made['id']}", headers=bob),
        client.patch(f"/items/{made['id']}", json={"title": "Mine"}, headers=bob),
        client.delete(f"/items/{made['id']}", headers=bob),
    ]

    assert [answer.status_code for answer in answers] == [403] * 3
    assert client.get("/items/", headers=bob).json() == []
    assert client.get(f"/items/{made['id']}", headers=ann).json()["title"] == "Cup"


@pytest.mark.sampled
@pytest.mark.parametrize("body", [{"title": ""}, {"title": "x" * 256}, {}, {"title": 1}])
def test_an_item_that_does_not_fit_is_refused(client: TestClient, body: dict[str, object]):
    assert client.post("/items/", json=body, headers=signed_up(client)).status_code == 422


@pytest.mark.sampled
def test_operations_keep_the_names_that_clients_were_generated_from(client: TestClient):
    paths = client.get("/openapi.json").json()["paths"]

    assert paths["/items/{key}"]["patch"]["operationId"] == "items-update_item"

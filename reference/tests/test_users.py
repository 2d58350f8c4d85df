"""CONTRACT: Users."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import psycopg
import pytest

from support.sampling import mostly_on

AtOnce = Callable[..., list[Any]]
Eventually = Callable[..., Any]
StartDepot = Callable[..., Any]


def _act(client: httpx.Client, user: str, action: str = "login", **headers: str) -> httpx.Response:
    return client.post(f"/users/{user}/actions", json={"action": action}, headers=headers)


def _log(client: httpx.Client, user: str, **query: Any) -> dict[str, Any]:
    answer = client.get(f"/users/{user}/actions", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def user() -> str:
    """A user of whom nothing is known yet."""
    return f"user-{uuid4().hex}"


@pytest.fixture
def logged(client: httpx.Client, user: str, eventually: Eventually) -> Callable[[int], Any]:
    """Wait until the log has so many entries, and return them."""

    def wait(count: int) -> Any:
        return eventually(lambda: _log(client, user)["items"], lambda items: len(items) >= count)

    return wait


def test_an_action_is_accepted_and_logged(
    client: httpx.Client, user: str, logged: Callable[[int], Any], eventually: Eventually
) -> None:
    before = datetime.now(UTC)

    answer = _act(client, user, **{"X-Request-ID": f"of-{user}"})

    after = datetime.now(UTC)
    assert (answer.status_code, answer.json()) == (200, {"status": "action_completed"})
    (entry,) = logged(1)
    assert set(entry) == {"id", "action", "at", "request_id"}
    assert (entry["action"], entry["request_id"]) == ("login", f"of-{user}")
    assert entry["at"].endswith("Z")
    assert before <= datetime.fromisoformat(entry["at"]) <= after
    (job_id,) = answer.headers.get_list("x-job-id")
    job = eventually(
        lambda: client.get(f"/jobs/{job_id}").json(), lambda job: job["status"] == "succeeded"
    )
    assert (job["task"], job["request_id"]) == ("users.record_action", f"of-{user}")


def test_a_user_of_whom_nothing_is_known_did_nothing(client: httpx.Client, user: str) -> None:
    assert _log(client, user) == {"items": [], "next_cursor": None}


def test_each_of_many_actions_is_logged_once(
    client: httpx.Client, user: str, at_once: AtOnce, logged: Callable[[int], Any]
) -> None:
    answers = at_once(lambda n: _act(client, user, f"action-{n}"), 30)

    assert {a.status_code for a in answers} == {200}
    assert sorted(entry["action"] for entry in logged(30)) == sorted(
        f"action-{n}" for n in range(30)
    )


def test_a_user_sees_no_others(
    client: httpx.Client, user: str, logged: Callable[[int], Any]
) -> None:
    _act(client, f"{user}-other", "delete")
    _act(client, user, "login")

    assert [entry["action"] for entry in logged(1)] == ["login"]


def test_the_log_is_paged_the_newest_first_and_later_actions_do_not_disturb(
    client: httpx.Client, user: str, logged: Callable[[int], Any]
) -> None:
    for number in range(5):
        _act(client, user, f"action-{number}")
    logged(5)

    first = _log(client, user, limit=2)
    _act(client, user, "later")
    logged(6)
    second = _log(client, user, limit=2, cursor=first["next_cursor"])
    third = _log(client, user, limit=2, cursor=second["next_cursor"])

    pages = [[entry["action"] for entry in page["items"]] for page in (first, second, third)]
    assert pages == [["action-4", "action-3"], ["action-2", "action-1"], ["action-0"]]
    assert third["next_cursor"] is None


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "cursor=x", "cursor="])
def test_a_page_that_is_none_is_refused(client: httpx.Client, user: str, query: str) -> None:
    answer = client.get(f"/users/{user}/actions?{query}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "VALIDATION_FAILED")


@pytest.mark.parametrize("name", ["1", "ann@example.com", "Jörg Müller", "a'b\"c", "x" * 200, "{}"])
def test_a_user_may_be_named_in_many_ways(
    client: httpx.Client, eventually: Eventually, name: str
) -> None:
    answer = _act(client, quote(name), f"as {name[:20]}")

    assert answer.status_code == 200
    entries = eventually(lambda: _log(client, quote(name))["items"])
    assert entries[0]["action"] == f"as {name[:20]}"


@pytest.mark.parametrize("name", ["x" * 201, "%00", "a%0Ab", "%C2%85"])
def test_a_user_that_can_be_none_is_refused(client: httpx.Client, name: str) -> None:
    answers = [_act(client, name), client.get(f"/users/{name}/actions")]

    assert [(a.status_code, a.json()["error"]["code"]) for a in answers] == [
        (422, "VALIDATION_FAILED")
    ] * 2


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/action"),
        ({"action": ""}, "/action"),
        ({"action": None}, "/action"),
        ({"action": 1}, "/action"),
        ({"action": "x" * 101}, "/action"),
        ({"action": "a\x00b"}, "/action"),
        ({"action": "a\nb"}, "/action"),
        ({"action": "a\n"}, "/action"),
        ({"action": "\ud800"}, "/action"),
        ({"action": "login", "at": "2020-01-01T00:00:00Z"}, "/at"),
    ],
)
def test_an_action_that_does_not_fit_is_refused_and_named(
    client: httpx.Client, user: str, body: dict[str, Any], pointer: str
) -> None:
    text = json.dumps(body)  # ASCII, so that a surrogate can be sent
    headers = {"Content-Type": "application/json"}

    answer = client.post(f"/users/{user}/actions", content=text, headers=headers)

    assert answer.status_code == 422, answer.text
    assert [d["pointer"] for d in answer.json()["error"]["details"]] == [pointer]
    assert "x-job-id" not in answer.headers


def test_a_repeat_with_the_same_key_is_logged_once(
    client: httpx.Client, user: str, logged: Callable[[int], Any]
) -> None:
    key = {"Idempotency-Key": str(uuid4())}

    first, again = _act(client, user, **key), _act(client, user, **key)
    _act(client, user, "last")

    assert (again.json(), again.headers["x-job-id"]) == (first.json(), first.headers["x-job-id"])
    assert again.headers["idempotent-replayed"] == "true"
    assert sorted(entry["action"] for entry in logged(2)) == ["last", "login"]


def test_a_slow_audit_log_does_not_slow_the_answer(
    start_briefly: StartDepot, postgres_url: str, tmp_path: Path, eventually: Eventually
) -> None:
    depot = start_briefly(DEPOT_DATABASE__URL=postgres_url, DEPOT_DATA_DIR=str(tmp_path))
    with depot.client() as client:
        with psycopg.connect(postgres_url) as connection:
            connection.execute("LOCK TABLE user_actions IN SHARE MODE")  # reads go on
            answers = [_act(client, "ann", f"action-{n}") for n in range(20)]
            assert _log(client, "ann")["items"] == []
        entries = eventually(
            lambda: _log(client, "ann")["items"], lambda items: len(items) == 20, seconds=60
        )

    assert {a.status_code for a in answers} == {200}
    # When it was accepted, not when it was written.
    assert [entry["action"] for entry in entries] == [f"action-{n}" for n in range(19, -1, -1)]


@mostly_on("sqlite", fixture="own_database_url")
def test_an_accepted_action_survives_a_kill_and_is_logged_once(
    start_briefly: StartDepot, own_database_url: str, tmp_path: Path, eventually: Eventually
) -> None:
    """B4."""
    settings = {"DEPOT_DATABASE__URL": own_database_url, "DEPOT_DATA_DIR": str(tmp_path)}
    names = [f"action-{n}" for n in range(40)]
    depot = start_briefly(**settings)
    with depot.client() as client:
        for name in names[:-1]:
            assert _act(client, "ann", name).status_code == 200
        assert _act(client, "ann", names[-1]).status_code == 200
        depot.process.kill()

    again = start_briefly(**settings)

    with again.client() as client:
        entries = eventually(
            lambda: _log(client, "ann")["items"], lambda items: len(items) >= 40, seconds=60
        )
    assert sorted(entry["action"] for entry in entries) == sorted(names)

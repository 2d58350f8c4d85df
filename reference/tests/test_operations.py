"""CONTRACT: Health and operations, as far as this version goes; /docs and /openapi.json."""

import httpx
import pytest


@pytest.mark.parametrize("path", ["/livez", "/startupz", "/readyz", "/readyz/database"])
def test_a_probe_answers_get_and_head(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 200
    head = client.head(path)
    assert (head.status_code, head.content) == (200, b"")


def test_readiness_names_its_checks_only_on_request(client: httpx.Client) -> None:
    assert client.get("/readyz").json() == {"status": "ready"}
    verbose = client.get("/readyz?verbose").json()
    assert verbose["status"] == "ready"
    assert verbose["checks"]["database"] == "pass"


def test_one_check_can_be_asked_alone(client: httpx.Client) -> None:
    assert client.get("/readyz/database?verbose").json() == {
        "status": "ready",
        "checks": {"database": "pass"},
    }


def test_an_unknown_check_is_not_found(client: httpx.Client) -> None:
    answer = client.get("/readyz/nope")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


def test_the_documentation_is_served(client: httpx.Client) -> None:
    assert "text/html" in client.get("/docs").headers["content-type"]
    assert client.get("/openapi.json").json()["info"]["title"] == "Depot"

"""CONTRACT: Health and operations, as far as this version goes; /docs and /openapi.json."""

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.pace import Pace
from support.postgres import PrivatePostgres, private_postgres

StartDepot = Callable[..., Any]
Eventually = Callable[..., Any]

PROBES = ("/livez", "/startupz", "/readyz", "/health")


@pytest.fixture
def postgres() -> Iterator[PrivatePostgres]:
    with private_postgres() as server:
        yield server


@pytest.mark.parametrize("path", [*PROBES, "/readyz/database", "/readyz/schema", "/readyz/jobs"])
def test_a_probe_answers_get_and_head(client: httpx.Client, path: str) -> None:
    answer = client.get(path, headers={"X-Request-ID": "find-me"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-request-id"] == "find-me"
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


def test_health_tells_of_each_dependency(client: httpx.Client) -> None:
    health = client.get("/health").json()

    assert set(health) == {"status", "timestamp", "version", "dependencies"}
    assert health["status"] == "healthy"
    database = health["dependencies"]["database"]
    assert set(database) == {"status", "latency_ms", "checked_at", "critical"}
    assert (database["status"], database["critical"]) == ("connected", True)
    for moment in (health["timestamp"], database["checked_at"]):
        assert moment.endswith("Z")
        assert datetime.now(UTC) - datetime.fromisoformat(moment) < timedelta(seconds=30)


def test_a_database_that_hangs_makes_no_probe_wait(
    start_briefly: StartDepot, tmp_path: Path, postgres: PrivatePostgres, eventually: Eventually
) -> None:
    token = {"DEPOT_OPS__TOKEN": "let me see"}
    depot = start_briefly(DEPOT_DATABASE__URL=postgres.url, DEPOT_DATA_DIR=str(tmp_path), **token)
    with depot.client() as client, ThreadPoolExecutor(8) as threads:
        postgres.pause()
        began = time.monotonic()
        eventually(lambda: client.get("/readyz").status_code, lambda code: code == 503, seconds=10)

        def seconds(path: str) -> float:
            return client.get(path).elapsed.total_seconds()

        with Pace() as pace:
            slowest = max(threads.map(seconds, PROBES * 25))
        assert slowest < pace.stretched(1)
        assert client.get("/livez").status_code == 200
        health = client.get("/health")
        assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
        assert health.json()["dependencies"]["database"]["status"] == "unreachable"
        assert "reason" not in health.text
        known = client.get("/health", headers={"Authorization": "Bearer let me see"})
        assert "no answer within" in known.json()["dependencies"]["database"]["reason"]
        postgres.resume()
        eventually(lambda: client.get("/readyz").status_code, lambda code: code == 200, seconds=5)
        assert time.monotonic() - began < 20


def test_sigterm_turns_readiness_first_and_exits_with_0(
    start_briefly: StartDepot, tmp_path: Path
) -> None:
    depot = start_briefly(DEPOT_DATA_DIR=str(tmp_path), DEPOT_SHUTDOWN__DRAIN_SECONDS="2")
    with depot.client() as client:
        depot.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (503, "not_ready")
        assert client.post("/inventory", json={"name": "a", "quantity": 1, "price": 1}).is_success
    assert depot.process.wait(10) == 0


def test_the_documentation_is_served(client: httpx.Client) -> None:
    assert "text/html" in client.get("/docs").headers["content-type"]
    schema = client.get("/openapi.json").json()
    assert schema["info"]["title"] == "Depot"
    assert {*PROBES, "/readyz/{check}"} <= set(schema["paths"])

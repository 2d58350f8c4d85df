"""CONTRACT: Jobs, where the workers of Celery or RQ run them."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.proxy import Proxy

StartDepot = Callable[..., Any]
Eventually = Callable[..., Any]

ITEM = {"name": "Hammer", "quantity": 1000, "price": "9.99"}
DONE = ("sent", "ready")


def _order(client: httpx.Client) -> str:
    item = client.post("/inventory", json=ITEM).json()["id"]
    body = {"customer_email": "ann@example.com", "lines": [{"item_id": item, "quantity": 1}]}
    answer = client.post("/orders", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"])


def _states(client: httpx.Client, location: str) -> tuple[str, str]:
    order = client.get(location).json()
    return order["confirmation"], order["invoice"]


def _settings(url: str, broker: str, directory: Path, *, engine: str = "celery") -> dict[str, str]:
    return {
        "DEPOT_DATABASE__URL": url,
        "DEPOT_DATA_DIR": str(directory),
        "DEPOT_JOBS__ENGINE": engine,
        "DEPOT_JOBS__BROKER_URL": broker,
    }


@pytest.mark.parametrize(
    ("engine", "broker"),
    [
        ("celery", "rabbitmq_url"),
        pytest.param("celery", "redis_url", marks=pytest.mark.soak),
        ("rq", "redis_url"),
    ],
)
def test_an_order_gets_its_confirmation_and_its_invoice(
    request: pytest.FixtureRequest,
    start_briefly: StartDepot,
    eventually: Eventually,
    postgres_url: str,
    tmp_path: Path,
    engine: str,
    broker: str,
) -> None:
    url = request.getfixturevalue(broker)
    settings = _settings(postgres_url, url, tmp_path, engine=engine)
    server = start_briefly(**settings)
    with server.client() as client:
        location = _order(client)
        before = _states(client, location)
        worker = start_briefly(command="worker", **settings)
        eventually(lambda: _states(client, location), DONE.__eq__)
        health = client.get("/readyz/broker").status_code

    assert before == ("pending", "pending")
    assert health == 200
    assert worker.stop(signal.SIGTERM) == 0
    assert server.stop(signal.SIGTERM) == 0


@pytest.mark.parametrize("engine", [pytest.param("celery", marks=pytest.mark.soak), "rq"])
def test_a_worker_of_the_engine_that_ends_by_itself_is_followed_by_another(
    start_briefly: StartDepot,
    eventually: Eventually,
    redis_url: str,
    postgres_url: str,
    tmp_path: Path,
    engine: str,
) -> None:
    """As Celery's does where Redis goes away while it has messages in hand."""
    settings = _settings(postgres_url, redis_url, tmp_path, engine=engine)
    server = start_briefly(**settings)
    worker = start_briefly(command="worker", **settings)
    for child in _children(worker.process.pid):
        os.kill(child, signal.SIGKILL)
    with server.client() as client:
        location = _order(client)
        eventually(lambda: _states(client, location), DONE.__eq__)

    assert worker.stop(signal.SIGTERM) == 0
    assert "another one starts" in worker.log


def _children(pid: int) -> list[int]:
    """Return the processes that a process has started itself."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in tasks for child in path.read_text().split()]


def test_workers_of_one_machine_share_the_jobs(
    start_briefly: StartDepot, rabbitmq_url: str, postgres_url: str, tmp_path: Path
) -> None:
    settings = _settings(postgres_url, rabbitmq_url, tmp_path)

    first = start_briefly(command="worker", **settings)
    second = start_briefly(command="worker", **settings)

    assert second.stop(signal.SIGTERM) == 0
    assert first.stop(signal.SIGTERM) == 0


@pytest.mark.parametrize("engine", ["celery", "rq"])
def test_a_broker_that_is_away_degrades_depot_and_refuses_no_order(
    start_briefly: StartDepot,
    eventually: Eventually,
    redis_url: str,
    postgres_url: str,
    tmp_path: Path,
    engine: str,
) -> None:
    with Proxy(6379) as proxy:
        broker = redis_url.replace(":6379", f":{proxy.port}")
        server = start_briefly(**_settings(postgres_url, broker, tmp_path, engine=engine))
        with server.client() as client:
            proxy.cut()
            location = _order(client)
            eventually(lambda: client.get("/readyz/broker").status_code, (503).__eq__)
            ready, states = client.get("/readyz").status_code, _states(client, location)

    assert (ready, states) == (200, ("pending", "pending"))


@pytest.mark.parametrize("command", ["serve", "worker"])
@pytest.mark.parametrize(
    ("engine", "broker", "needs"),
    [
        ("celery", "", "needs amqp://host"),
        ("rq", "", "needs redis://host"),
        ("rq", "amqp://localhost", "needs redis://host"),
    ],
)
def test_without_its_broker_it_is_one_line(
    run_depot: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    command: str,
    engine: str,
    broker: str,
    needs: str,
) -> None:
    given = {"DEPOT_JOBS__BROKER_URL": broker} if broker else {}
    done = run_depot(command, DEPOT_DATA_DIR=str(tmp_path), DEPOT_JOBS__ENGINE=engine, **given)

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"DEPOT_JOBS__BROKER_URL: {needs}")

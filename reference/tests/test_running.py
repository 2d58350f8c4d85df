"""CONTRACT: Running it."""

import json
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

StartDepot = Callable[..., Any]
Eventually = Callable[..., Any]
RunDepot = Callable[..., subprocess.CompletedProcess[str]]
ITEM = {"name": "Hammer", "quantity": 100, "price": "9.99"}


def _port_of(depot: Any) -> int:
    port = urlsplit(depot.url).port
    assert port is not None
    return port


def test_without_configuration_everything_is_in_the_data_directory(
    start_depot: StartDepot, tmp_path: Path
) -> None:
    depot = start_depot(DEPOT_DATA_DIR=str(tmp_path / "data"))

    with depot.client() as client:
        assert client.post("/inventory", json=ITEM).status_code == 201

    assert (tmp_path / "data" / "depot.db").exists()
    assert depot.lines[0] == f"Depot is ready on {depot.url}\n"


@pytest.mark.sampled
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_exit_code_0(
    start_depot: StartDepot, tmp_path: Path, workers: str, number: signal.Signals
) -> None:
    depot = start_depot("--workers", workers, DEPOT_DATA_DIR=str(tmp_path))
    with depot.client() as client:
        assert client.get("/livez").status_code == 200

    assert depot.stop(number) == 0
    assert "Traceback" not in depot.log


def test_a_running_request_finishes_before_the_end(start_depot: StartDepot, tmp_path: Path) -> None:
    depot = start_depot(DEPOT_DATA_DIR=str(tmp_path))
    body = json.dumps(ITEM).encode()
    with socket.create_connection(("127.0.0.1", _port_of(depot)), timeout=10) as connection:
        connection.sendall(
            b"POST /inventory HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body)
        )
        connection.sendall(body[:10])
        with depot.client() as client:  # once this is answered, the first one is being served
            client.get("/livez")
        depot.process.send_signal(signal.SIGTERM)
        connection.sendall(body[10:])

        assert connection.recv(65536).startswith(b"HTTP/1.1 201")
    assert depot.stop() == 0


def test_while_it_drains_it_is_not_ready_and_still_serves(
    start_depot: StartDepot, tmp_path: Path
) -> None:
    depot = start_depot(DEPOT_DATA_DIR=str(tmp_path), DEPOT_SHUTDOWN__DRAIN_SECONDS="3")
    with depot.client() as client:
        depot.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 2
        while (ready := client.get("/readyz")).status_code == 200 and time.monotonic() < deadline:
            pass
        assert ready.status_code == 503
        assert ready.json()["status"] == "not_ready"
        assert client.get("/livez").status_code == 200
        assert client.post("/inventory", json=ITEM).status_code == 201
        with depot.client() as another:
            assert another.get("/inventory").status_code == 200

    assert depot.process.wait(timeout=10) == 0


def test_what_was_acknowledged_survives_a_kill(start_depot: StartDepot, tmp_path: Path) -> None:
    depot = start_depot(DEPOT_DATA_DIR=str(tmp_path))
    kept: list[dict[str, Any]] = []

    def write() -> None:
        with depot.client() as client:
            while True:
                try:
                    kept.append(client.post("/inventory", json=ITEM).json())
                except httpx.TransportError:
                    return

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    while len(kept) < 30:
        time.sleep(0.01)
    depot.process.kill()
    for writer in writers:
        writer.join()

    again = start_depot(DEPOT_DATA_DIR=str(tmp_path))

    with again.client() as client:
        assert [client.get(f"/inventory/{item['id']}").json() for item in kept] == kept


def test_workers_share_one_database(start_depot: StartDepot, tmp_path: Path) -> None:
    depot = start_depot("--workers", "2", DEPOT_DATA_DIR=str(tmp_path))
    with depot.client() as client:
        item = client.post("/inventory", json=ITEM).json()
    order = {
        "customer_email": "ann@example.com",
        "lines": [{"item_id": item["id"], "quantity": 3}],
    }
    statuses: list[int] = []

    def buy() -> None:
        for _ in range(5):
            with depot.client() as client:  # a new connection may reach another worker
                statuses.append(client.post("/orders", json=order).status_code)

    buyers = [threading.Thread(target=buy) for _ in range(8)]
    for buyer in buyers:
        buyer.start()
    for buyer in buyers:
        buyer.join()

    assert sorted(statuses) == [201] * 33 + [409] * 7
    with depot.client() as client:
        assert client.get(f"/inventory/{item['id']}").json()["quantity"] == 1
    assert depot.log.count("Depot is ready") == 1


def test_a_port_that_is_taken_is_one_line(run_depot: RunDepot, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run_depot("serve", "--port", port, DEPOT_DATA_DIR=str(tmp_path))

    assert done.returncode != 0
    assert len(done.stderr.splitlines()) == 1
    assert port in done.stderr


@pytest.mark.parametrize("command", ["serve", "worker", "migrate"])
def test_every_wrong_setting_is_one_line_that_names_it(run_depot: RunDepot, command: str) -> None:
    wrong = {
        "DEPOT_DATABASE__URL": "mysql://user:hunter2@db/x",
        "DEPOT_JOBS__ENGINE": "cron",
        "DEPOT_JOBS__BROKER_URL": "x",
        "DEPOT_JOBS__RUN_IN_SERVER": "maybe",
        "DEPOT_FILES__URL": "ftp://x",
        "DEPOT_MAIL__URL": "x",
        "DEPOT_UPLOADS__MAX_BYTES": "-1",
        "DEPOT_ARCHIVES__MAX_BYTES": "lots",
        "DEPOT_BODY__MAX_BYTES": "1.5",
        "DEPOT_REQUIRE_IF_MATCH": "2",
        "DEPOT_CORS__ORIGINS": "http://localhost",
        "DEPOT_SHUTDOWN__DRAIN_SECONDS": "soon",
        "DEPOT_SHUTDOWN__GRACE_SECONDS": "nan",
        "DEPOT_LOG__FORMAT": "xml",
    }

    done = run_depot(command, **wrong)

    assert done.returncode != 0
    lines = done.stderr.splitlines()
    assert sorted(line.partition(":")[0] for line in lines) == sorted(wrong)
    assert all(": needs " in line for line in lines)
    assert "hunter2" not in done.stderr


def test_a_misspelt_setting_is_told_with_the_closest_one(
    run_depot: RunDepot, tmp_path: Path
) -> None:
    done = run_depot("migrate", DEPOT_DATA_DIR=str(tmp_path), DEPOT_BODY__MAX_BYTS="5")

    assert done.returncode == 0
    assert "DEPOT_BODY__MAX_BYTS is no setting of Depot" in done.stderr
    assert "DEPOT_BODY__MAX_BYTES" in done.stderr


def test_a_database_that_is_away_is_told_without_a_traceback(run_depot: RunDepot) -> None:
    """In the log, as at any time, and in the command's last line, as why it did not start"""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"postgresql://ann:hunter2@127.0.0.1:{unused.getsockname()[1]}/x"
        done = run_depot("serve", "--port", "0", DEPOT_DATABASE__URL=url)

    *logged, last = done.stderr.splitlines()
    assert done.returncode != 0
    assert last.startswith("DEPOT_DATABASE__URL: ")
    assert last.endswith("connection refused")
    assert len(logged) <= 1
    assert "hunter2" not in done.stderr


def test_migrate_can_be_run_again(run_depot: RunDepot, database_url: str) -> None:
    first = run_depot("migrate", DEPOT_DATABASE__URL=database_url)
    again = run_depot("migrate", DEPOT_DATABASE__URL=database_url)

    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr


def test_servers_that_start_together_make_the_schema_once(
    start_depot: StartDepot, tmp_path: Path
) -> None:
    started: list[Any] = []
    starters = [
        threading.Thread(target=lambda: started.append(start_depot(DEPOT_DATA_DIR=str(tmp_path))))
        for _ in range(3)
    ]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()

    assert len(started) == 3
    for depot in started:
        assert depot.stop() == 0


def test_a_schema_from_the_future_is_refused(run_depot: RunDepot, tmp_path: Path) -> None:
    run_depot("migrate", DEPOT_DATA_DIR=str(tmp_path))
    with sqlite3.connect(tmp_path / "depot.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    done = run_depot("serve", "--port", "0", DEPOT_DATA_DIR=str(tmp_path))

    assert done.returncode != 0
    assert "newer version" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_demo_has_data_and_keeps_what_is_there(
    start_depot: StartDepot, tmp_path: Path, eventually: Eventually
) -> None:
    depot = start_depot(command="demo", DEPOT_DATA_DIR=str(tmp_path))
    with depot.client() as client:
        items = client.get("/inventory").json()["items"]
        report = client.get("/reports/financial?days=31").json()
        ledger = client.get("/reports/financial.csv?days=31").text.splitlines()
        path = f"/orders/{ledger[1].partition(',')[0]}"
        order = eventually(lambda: client.get(path).json(), lambda o: o["invoice"] == "ready")
        eventually(lambda: len(list((tmp_path / "files" / "thumbnails").rglob("*/*"))) == 2)
        client.delete(f"/inventory/{items[0]['id']}")
    depot.stop()

    again = start_depot(command="demo", DEPOT_DATA_DIR=str(tmp_path))

    assert len(items) == 12
    assert report["orders"] > 0
    assert order["confirmation"] == "sent"
    assert list((tmp_path / "mail").iterdir()) == []  # nobody wants a month of mail
    with again.client() as client:
        assert len(client.get("/inventory").json()["items"]) == 11


def test_the_demo_takes_its_port_from_the_environment(
    depot_environment: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "depot", "demo"],
        env={**depot_environment(DEPOT_DATA_DIR=str(tmp_path)), "PORT": str(port)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None

    line = process.stdout.readline()

    process.terminate()
    assert line == f"Depot is ready on http://127.0.0.1:{port}\n"
    assert process.wait(timeout=20) == 0
    process.stdout.close()


def test_if_match_can_be_required(start_depot: StartDepot, tmp_path: Path) -> None:
    depot = start_depot(DEPOT_DATA_DIR=str(tmp_path), DEPOT_REQUIRE_IF_MATCH="true")
    with depot.client() as client:
        added = client.post("/inventory", json=ITEM)
        path, match = added.headers["location"], {"If-Match": added.headers["etag"]}

        refused = [client.patch(path, json={"name": "x"}), client.delete(path)]
        patched = client.patch(path, json={"name": "x"}, headers=match)
        deleted = client.delete(path, headers={"If-Match": patched.headers["etag"]})

    assert [(a.status_code, a.json()["error"]["code"]) for a in refused] == [
        (428, "PRECONDITION_REQUIRED")
    ] * 2
    assert (patched.status_code, deleted.status_code) == (200, 204)


def test_the_limits_and_origins_are_those_of_the_environment(
    start_depot: StartDepot, tmp_path: Path
) -> None:
    depot = start_depot(
        DEPOT_DATA_DIR=str(tmp_path),
        DEPOT_BODY__MAX_BYTES="100",
        DEPOT_CORS__ORIGINS='["https://shop.example"]',
    )
    with depot.client() as client:
        large = client.post("/inventory", json={**ITEM, "description": "x" * 100})
        small = client.post("/inventory", json=ITEM, headers={"Origin": "https://shop.example"})

    assert (large.status_code, small.status_code) == (413, 201)
    assert small.headers["access-control-allow-origin"] == "https://shop.example"


def test_every_line_of_the_json_log_has_the_request_id(
    start_depot: StartDepot, tmp_path: Path
) -> None:
    depot = start_depot(DEPOT_DATA_DIR=str(tmp_path), DEPOT_LOG__FORMAT="json")
    with depot.client() as client:
        client.get("/livez", headers={"X-Request-ID": "find-me"})
    depot.stop()

    lines = [json.loads(line) for line in depot.lines[1:]]
    line = next(line for line in lines if line["request_id"] == "find-me")
    assert (line["method"], line["route"], line["status"]) == ("GET", "/livez", 200)
    assert all("request_id" in line for line in lines)

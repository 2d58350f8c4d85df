"""CONTRACT across processes: several servers, and what stands between them and their data."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from support.fixtures import skipped_without
from support.pgbouncer import pgbouncer
from support.postgres import PrivatePostgres, database_on, private_postgres, streaming_replica

AtOnce = Callable[..., list[Any]]
Eventually = Callable[..., Any]
StartDepot = Callable[..., Any]
ITEM = {"name": "Hammer", "quantity": 10, "price": "9.99"}
SERVERS = 3


def start_all(start: StartDepot, number: int, **settings: str) -> list[Any]:
    """Start servers at the same instant."""
    started: list[Any] = []
    starters = [
        threading.Thread(target=lambda: started.append(start(**settings))) for _ in range(number)
    ]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    return started


@pytest.fixture(scope="module")
def database(postgres_server: str) -> Iterator[str]:
    """An empty database of PostgreSQL."""
    with database_on(postgres_server) as url:
        yield url


@pytest.fixture(scope="module")
def servers(
    start_depot: StartDepot, database: str, tmp_path_factory: pytest.TempPathFactory
) -> list[Any]:
    """Several servers of one database, started at once while that is empty; one directory."""
    data = str(tmp_path_factory.mktemp("data"))
    return start_all(start_depot, SERVERS, DEPOT_DATABASE__URL=database, DEPOT_DATA_DIR=data)


@pytest.fixture
def clients(servers: list[Any]) -> Iterator[list[httpx.Client]]:
    """One client for each server."""
    opened = [server.client() for server in servers]
    yield opened
    for client in opened:
        client.close()


def test_of_servers_that_start_at_once_on_nothing_one_migrates_and_all_come_up(
    servers: list[Any], database: str
) -> None:
    assert len(servers) == SERVERS
    for server in servers:
        assert "Traceback" not in server.log
        with server.client() as client:
            assert client.get("/readyz").status_code == 200
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)


def order_of(item: dict[str, Any]) -> dict[str, Any]:
    lines = [{"item_id": item["id"], "quantity": 1}]
    return {"customer_email": "ann@example.com", "lines": lines}


@pytest.mark.parametrize("_", [0, *(pytest.param(n, marks=pytest.mark.soak) for n in (1, 2))])
def test_one_key_sent_to_all_servers_at_once_is_one_order(
    clients: list[httpx.Client], at_once: AtOnce, _: int
) -> None:
    item = clients[0].post("/inventory", json=ITEM).json()
    headers = {"Idempotency-Key": str(uuid4())}

    def order(number: int) -> httpx.Response:
        return clients[number % SERVERS].post("/orders", json=order_of(item), headers=headers)

    answers = at_once(order, 2 * SERVERS)

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    replayed = Counter(answer.headers.get("idempotent-replayed") for answer in answers)
    assert replayed == {None: 1, "true": 2 * SERVERS - 1}
    left = [client.get(f"/inventory/{item['id']}").json()["quantity"] for client in clients]
    assert left == [9] * SERVERS


@pytest.mark.parametrize("_", [0, *(pytest.param(n, marks=pytest.mark.soak) for n in (1, 2))])
def test_of_writers_with_one_etag_at_several_servers_one_wins(
    clients: list[httpx.Client], at_once: AtOnce, _: int
) -> None:
    added = clients[0].post("/inventory", json=ITEM)
    path, match = added.headers["location"], {"If-Match": added.headers["etag"]}

    def change(number: int) -> httpx.Response:
        patch = {"name": f"writer {number}"}
        return clients[number % SERVERS].patch(path, json=patch, headers=match)

    answers = at_once(change, 2 * SERVERS)

    won = [answer for answer in answers if answer.status_code == 200]
    assert len(won) == 1
    assert Counter(a.status_code for a in answers) == {200: 1, 412: 2 * SERVERS - 1}
    assert [client.get(path).json() for client in clients] == [won[0].json()] * SERVERS


def test_stock_is_never_sold_twice_by_several_servers(
    clients: list[httpx.Client], at_once: AtOnce
) -> None:
    item = clients[0].post("/inventory", json=ITEM).json()

    answers = at_once(
        lambda number: clients[number % SERVERS].post("/orders", json=order_of(item)), 15
    )

    assert Counter(answer.status_code for answer in answers) == {201: 10, 409: 5}


@pytest.fixture(scope="module")
def pooled(
    start_depot: StartDepot, postgres_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Any]]:
    """Two servers and a worker behind PgBouncer, which has three connections for all of them."""
    data = str(tmp_path_factory.mktemp("data"))
    with (
        skipped_without("pgbouncer"),
        database_on(postgres_server) as url,
        pgbouncer(url, size=3) as through,
    ):
        settings = {
            "DEPOT_DATABASE__URL": through,
            "DEPOT_DATABASE__BEHIND_POOLER": "true",
            "DEPOT_JOBS__RUN_IN_SERVER": "false",
            "DEPOT_DATA_DIR": data,
        }
        servers = start_all(start_depot, 2, **settings)
        worker = start_depot(command="worker", **settings)
        yield servers
        for one in (*servers, worker):
            one.stop()
            assert "Traceback" not in one.log


def test_behind_pgbouncer_orders_and_their_jobs_are_done(
    pooled: list[Any], eventually: Eventually
) -> None:
    with pooled[0].client() as client:
        item = client.post("/inventory", json=ITEM).json()
        path = client.post("/orders", json=order_of(item)).headers["location"]

        order = eventually(
            lambda: client.get(path).json(),
            lambda o: (o["confirmation"], o["invoice"]) == ("sent", "ready"),
        )

        assert order["total"] == "9.99"
        assert client.get(f"{path}/invoice").content.startswith(b"%PDF")
        assert client.get("/readyz").status_code == 200


def test_behind_pgbouncer_keys_and_etags_hold(pooled: list[Any], at_once: AtOnce) -> None:
    clients = [server.client() for server in pooled]
    added = clients[0].post("/inventory", json=ITEM)
    item, key = added.json(), {"Idempotency-Key": str(uuid4())}

    orders = at_once(lambda n: clients[n % 2].post("/orders", json=order_of(item), headers=key), 8)
    now = clients[0].get(added.headers["location"])
    match = {"If-Match": now.headers["etag"]}
    patches = at_once(
        lambda n: clients[n % 2].patch(
            added.headers["location"], json={"name": f"writer {n}"}, headers=match
        ),
        8,
    )

    assert {answer.status_code for answer in orders} == {201}
    assert len({answer.json()["id"] for answer in orders}) == 1
    assert Counter(answer.status_code for answer in patches) == {200: 1, 412: 7}
    assert clients[1].get(added.headers["location"]).json()["quantity"] == 9
    for client in clients:
        client.close()


@pytest.fixture(scope="module")
def primary() -> Iterator[PrivatePostgres]:
    with private_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def replica(primary: PrivatePostgres) -> Iterator[PrivatePostgres]:
    with streaming_replica(primary) as server:
        yield server


def test_with_a_replica_lists_may_be_late_and_what_has_a_path_never_is(
    start_briefly: StartDepot,
    primary: PrivatePostgres,
    replica: PrivatePostgres,
    eventually: Eventually,
    tmp_path: Path,
) -> None:
    depot = start_briefly(
        DEPOT_DATABASE__URL=primary.url,
        DEPOT_DATABASE__REPLICA_URL=replica.url,
        DEPOT_DATA_DIR=str(tmp_path),
    )
    with depot.client() as client, psycopg.connect(replica.url, autocommit=True) as standby:
        assert client.get("/readyz/replica").status_code == 200
        eventually(lambda: client.get("/inventory").status_code, lambda status: status == 200)
        standby.execute("SELECT pg_wal_replay_pause()")
        added = client.post("/inventory", json=ITEM)
        order = client.post("/orders", json=order_of(added.json()))

        assert client.get("/inventory").json()["items"] == []
        assert client.get("/reports/financial").json()["orders"] == 0
        assert client.get(added.headers["location"]).json()["quantity"] == 9
        assert client.get(order.headers["location"]).status_code == 200
        assert client.get(f"/jobs/{order.headers['x-job-id'].split(',')[0]}").status_code == 200

        standby.execute("SELECT pg_wal_replay_resume()")
        eventually(lambda: client.get("/inventory").json()["items"], len, seconds=10)
        replica.kill()
        assert client.get("/livez").status_code == 200
        eventually(lambda: client.get("/inventory").status_code, lambda s: s == 200, seconds=10)
        assert client.get("/readyz").status_code == 200


def test_a_replica_of_sqlite_is_refused_with_a_line(run_depot: Any, tmp_path: Path) -> None:
    done = run_depot(
        "serve", DEPOT_DATA_DIR=str(tmp_path), DEPOT_DATABASE__REPLICA_URL="postgresql://a/b"
    )

    assert done.returncode == 2
    assert done.stderr.startswith("DEPOT_DATABASE__REPLICA_URL: needs postgresql://")

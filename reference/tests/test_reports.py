"""CONTRACT: Reports."""

import csv
import re
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

Add = Callable[..., dict[str, Any]]


@pytest.fixture
def order(client: httpx.Client, add_item: Add) -> Callable[..., dict[str, Any]]:
    """Place an order of a new item."""

    def place(*, quantity: int, price: str, lines: int = 1) -> dict[str, Any]:
        item = add_item(quantity=quantity * lines, price=price)
        answer = client.post(
            "/orders",
            json={
                "customer_email": "ann@example.com",
                "lines": [{"item_id": item["id"], "quantity": quantity}] * lines,
            },
        )
        assert answer.status_code == 201, answer.text
        return answer.json()

    return place


def test_the_report_adds_up(client: httpx.Client, order: Callable[..., dict[str, Any]]) -> None:
    before = client.get("/reports/financial").json()

    order(quantity=3, price="0.10")
    order(quantity=7, price="9999.99", lines=2)

    report = client.get("/reports/financial?days=7").json()
    today = datetime.now(UTC).date()
    assert report["orders"] - before["orders"] == 2
    assert Decimal(report["revenue"]) - Decimal(before["revenue"]) == Decimal("140000.16")
    assert (report["from"], report["to"]) == (str(today - timedelta(days=6)), str(today))
    assert [day["date"] for day in report["by_day"]] == [
        str(today - timedelta(days=n)) for n in range(6, -1, -1)
    ]
    assert sum(day["orders"] for day in report["by_day"]) == report["orders"]
    assert sum(Decimal(day["revenue"]) for day in report["by_day"]) == Decimal(report["revenue"])
    assert report["by_day"][0] == {"date": report["from"], "orders": 0, "revenue": "0.00"}


def test_sums_are_exact_where_they_are_large(
    client: httpx.Client, order: Callable[..., dict[str, Any]]
) -> None:
    before = Decimal(client.get("/reports/financial").json()["revenue"])

    for _ in range(3):
        order(quantity=1, price="9999999999.99")

    after = Decimal(client.get("/reports/financial").json()["revenue"])
    assert after - before == Decimal("29999999999.97")


@pytest.mark.parametrize("path", ["/reports/financial", "/reports/financial.csv"])
@pytest.mark.parametrize("days", ["0", "-1", "3661", "x", "1.5", "", "9" * 40])
def test_a_period_that_does_not_fit_is_refused(client: httpx.Client, path: str, days: str) -> None:
    answer = client.get(path, params={"days": days})

    assert answer.status_code == 422
    detail = answer.json()["error"]["details"][0]
    assert (detail["in"], detail["pointer"]) == ("query", "/days")


def test_the_csv_has_one_row_for_each_line(
    client: httpx.Client, order: Callable[..., dict[str, Any]]
) -> None:
    placed = order(quantity=2, price="1.50", lines=2)

    answer = client.get("/reports/financial.csv?days=1")

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.text.splitlines()[0] == ("order_id,item_id,quantity,unit_price,amount,created_at")
    rows = [r for r in csv.DictReader(answer.text.splitlines()) if r["order_id"] == placed["id"]]
    line = placed["lines"][0]
    assert rows == 2 * [
        {
            "order_id": placed["id"],
            "item_id": line["item_id"],
            "quantity": "2",
            "unit_price": "1.50",
            "amount": "3.00",
            "created_at": placed["created_at"],
        }
    ]


def test_the_csv_and_the_report_agree(client: httpx.Client) -> None:
    report = client.get("/reports/financial").json()

    rows = list(csv.DictReader(client.get("/reports/financial.csv").text.splitlines()))

    assert sum(Decimal(row["amount"]) for row in rows) == Decimal(report["revenue"])
    assert len({row["order_id"] for row in rows}) == report["orders"]


ROWS = 50_000


@pytest.fixture
def large_ledger(database_url: str) -> int:
    """Write so many rows into the ledger as no test would by orders; return how many."""
    columns = "order_id, item_id, quantity, unit_price, amount, created_at, day"
    now = datetime.now(UTC).replace(tzinfo=None) - timedelta(minutes=1)
    if database_url.startswith("sqlite"):
        with sqlite3.connect(database_url.removeprefix("sqlite:///"), timeout=30) as connection:
            row = ("bulk", "bulk", 1, 1, 1, str(now), str(now.date()))
            connection.executemany(
                f"INSERT INTO ledger ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", [row] * ROWS
            )
        connection.close()
    else:
        with psycopg.connect(database_url) as pg:
            pg.execute(
                f"INSERT INTO ledger ({columns}) SELECT 'bulk', 'bulk', 1, 1, 1, %s, %s"
                " FROM generate_series(1, %s)",
                (now.replace(tzinfo=UTC), now.date(), ROWS),
            )
    return ROWS


def _peak_memory_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_memory_does_not_grow_with_the_rows_of_the_csv(
    client: httpx.Client, depot: Any, large_ledger: int
) -> None:
    client.get("/reports/financial.csv?days=1")
    before = _peak_memory_kib(depot.process.pid)

    with client.stream("GET", "/reports/financial.csv") as answer:
        rows = sum(chunk.count(b"\n") for chunk in answer.iter_bytes())

    assert rows > large_ledger
    assert _peak_memory_kib(depot.process.pid) - before < 4 * 1024


def test_slow_readers_of_the_csv_hold_nobody_up(
    depot: Any, client: httpx.Client, add_item: Add, large_ledger: int
) -> None:
    """T5: more streams than the pool has connections, none of them read on."""
    item = add_item()
    clients = [depot.client() for _ in range(15)]
    streams = [c.stream("GET", "/reports/financial.csv") for c in clients]
    opened = [stream.__enter__() for stream in streams]

    answer = client.patch(f"/inventory/{item['id']}", json={"name": "new"}, timeout=5)
    read = client.get(f"/inventory/{item['id']}", timeout=5)

    assert {stream.status_code for stream in opened} == {200}
    assert (answer.status_code, read.json()["name"]) == (200, "new")
    for stream, c in zip(streams, clients, strict=True):
        stream.__exit__(None, None, None)
        c.close()

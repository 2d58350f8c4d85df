"""Writes tells what writers were refused, by route, and how many repeats were answered."""

import re

from opentelemetry import metrics as api
from opentelemetry.sdk.metrics import MeterProvider
from sqlalchemy import insert

from console.shop import ago, jobs_of, opened
from roadworthy import problem_log
from roadworthy._metric_instruments import made
from roadworthy.idempotency import metrics
from roadworthy.observability import Telemetry
from roadworthy.problem_log import ProblemLog


def cells(page: str, route: str) -> list[str]:
    row = re.search(
        rf"<tr>\s*<th[^>]*>(?:<a[^>]*>)?{route}(?:</a>)?</th>(.*?)</tr>", page, re.DOTALL
    )
    assert row is not None
    return re.findall(r'<td class="number">([\d,]+)</td>', row.group(1))


async def test_refusals_are_told_by_route_and_status(db):
    rows = [
        ("PRECONDITION_FAILED", 412, "/inventory/{id}", 5),
        ("PRECONDITION_REQUIRED", 428, "/inventory/{id}", 2),
        ("ITEM_EXISTS", 409, "/inventory", 30),
        ("OUT_OF_STOCK", 409, "/orders", 1),
        ("PAYLOAD_TOO_LARGE", 413, "/orders", 4),
        ("NOT_FOUND", 404, "-", 1000),
    ]
    async with db.engine.begin() as connection:
        for code, status, route, number in rows:
            row = {"begins_at": ago(minutes=3), "code": code, "status": status, "route": route}
            await connection.execute(
                insert(problem_log.counts), row | {"reason": "", "problems": number}
            )
    async with opened(ProblemLog(db)) as client:
        page = (await client.get("/ops/writes")).text
    assert cells(page, r"/inventory/\{id\}") == ["0", "5", "0", "2"]
    assert cells(page, "/inventory") == ["30", "0", "0", "0"]
    assert cells(page, "/orders") == ["1", "0", "4", "0"]
    assert "<strong>42</strong> writes" in page
    assert "No Telemetry part counts them." in page


async def test_replays_are_read_from_the_meters(db, monkeypatch):
    provider = MeterProvider()
    monkeypatch.setattr(api, "get_meter", provider.get_meter)
    monkeypatch.delitem(made, "roadworthy.idempotency.replays", raising=False)
    telemetry = Telemetry(meter_provider=provider)
    for _ in range(3):
        metrics.replayed("POST /orders")
    async with opened(ProblemLog(db), telemetry) as client:
        page = (await client.get("/ops/writes")).text
    monkeypatch.delitem(made, "roadworthy.idempotency.replays", raising=False)
    assert cells(page, "POST /orders") == ["3"]
    assert "of no other server" in page


async def test_a_telemetry_that_counts_nothing_is_told(db):
    async with opened(ProblemLog(db), Telemetry(metrics=False)) as client:
        assert "counts nothing" in (await client.get("/ops/writes")).text


async def test_there_is_no_such_page_without_a_problem_log(db):
    async with opened(jobs_of(db)) as client:
        assert (await client.get("/ops/writes")).status_code == 404

"""Now says whether it is safe to roll out, and why, also on the day when nothing works."""

import asyncio
import re
import time
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from console import shop
from console.shop import JOBS, PAUSES, PROBLEMS, WORKERS, ago, jobs_of, opened, put
from roadworthy.database import Database
from roadworthy.health import Health
from roadworthy.problem_log import ProblemLog
from roadworthy.tables import metadata
from support.proxy import Proxy

QUIET = {"version": "1.4.1"}


async def look(client) -> str:
    page = await client.get("/ops")
    assert page.status_code == 200
    return page.text


def verdict_of(page: str) -> str:
    return re.findall(r"roll out\? <strong>(\w+)\.", page)[0]


def rows_of(page: str) -> dict[str, tuple[str, str]]:
    found = re.findall(
        r"<tr>\s*<td><span[^>]*>(\w+)</span></td>\s*"
        r'<th scope="row">(?:<a href="[^"]*">)?(.*?)(?:</a>)?</th>\s*<td>(.*?)</td>',
        page,
    )
    return {about: (state, says) for state, about, says in found}


async def test_a_service_without_parts_has_a_page_that_says_so():
    async with opened() as client:
        page = await look(client)
    assert "no part that the console knows" in page
    assert verdict_of(page) == "Yes"


async def test_where_all_is_well_the_answer_is_yes(db):
    await put(db, WORKERS, shop.worker())
    log = ProblemLog(db)
    async with opened(db_of(db), jobs_of(db, **QUIET), log, Health(version="1.4.1")) as client:
        page = await look(client)
    assert verdict_of(page) == "Yes"
    assert {state for state, _ in rows_of(page).values()} == {"well"}


def db_of(db: Database) -> AsyncExitStack:
    """Return a part in the place of the database, which is open already."""
    return AsyncExitStack()


async def test_each_thing_that_speaks_against_it_is_a_row_with_its_reason(db):
    await put(
        db,
        JOBS,
        shop.job(queue="mail", run_at=ago(minutes=20)),
        shop.job(queue="mail", run_at=ago(minutes=1)),
        shop.job(queue="reports", run_at=ago(hours=-1)),
        shop.job("scheduled", run_at=ago(minutes=3)),
        shop.job("dead", finished_at=ago(minutes=2), task="shop.invoice"),
        shop.job("dead", finished_at=ago(minutes=20), task="shop.old"),
    )
    await put(
        db,
        WORKERS,
        shop.worker("host-1-new", version="1.4.2"),
        shop.worker("host-2-old", version="1.4.1"),
        shop.worker("host-3-gone", version="1.3.0", expected_at=ago(minutes=5)),
    )
    await put(
        db,
        PROBLEMS,
        shop.problem(status=500, code="INTERNAL_ERROR", stands_for=40),
        shop.problem(status=500, code="OLD_ERROR", at=ago(minutes=11)),
        shop.problem(status=409),
    )
    pause = {"kind": "task", "name": "shop.mail", "since": ago(hours=2), "paused_by": "ben"}
    await put(db, PAUSES, pause)
    async with opened(jobs_of(db, **QUIET), ProblemLog(db)) as client:
        page = await look(client)

    assert verdict_of(page) == "Wait"
    assert rows_of(page) == {
        "tables of jobs": ("well", "all there"),
        "queue mail": ("wait", "2 due, the oldest for 20 min"),
        "queue reports": ("well", "1 due, the oldest for 0 ms"),
        "scheduled jobs": ("wait", "1 are past their time: does any worker run?"),
        "versions": (
            "wait",
            "a rollout is under way: 1.4.1 (1 worker), 1.4.2 (1 worker)",
        ),
        "workers": ("well", "2 awake, 0 jobs under way"),
        "task shop.invoice": ("wait", "1 died in the last 10 minutes"),
        "task shop.mail": ("note", "paused by ben for 2 h"),
        "INTERNAL_ERROR": ("wait", "40 in the last 10 minutes: 500 of /orders"),
    }
    assert "1 silent: host-3-gone" in page


@pytest.mark.parametrize(
    ("versions", "here", "verdict"),
    [
        (["2"], "2", "Yes"),
        (["1"], "2", "Wait"),
        (["1", "2"], "2", "Wait"),
        ([None], None, "Yes"),
    ],
)
async def test_two_versions_are_a_rollout_under_way(db, versions, here, verdict):
    names = [f"w{number}" for number in range(len(versions))]
    await put(
        db, WORKERS, *(shop.worker(n, version=v) for n, v in zip(names, versions, strict=True))
    )
    async with opened(jobs_of(db, version=here)) as client:
        assert verdict_of(await look(client)) == verdict


async def test_without_a_worker_nobody_runs_jobs(db):
    async with opened(jobs_of(db)) as client:
        assert rows_of(await look(client))["workers"] == ("wait", "none: nobody runs jobs")


async def test_a_paused_queue_is_worth_a_note_however_late_its_jobs_are(db):
    await put(db, JOBS, shop.job(queue="mail", run_at=ago(days=2)))
    pause = {"kind": "queue", "name": "mail", "since": ago(days=3), "paused_by": "ben"}
    await put(db, PAUSES, pause)
    await put(db, WORKERS, shop.worker())
    async with opened(jobs_of(db, **QUIET)) as client:
        page = await look(client)
    assert rows_of(page)["queue mail"] == ("note", "paused by ben for 3 d")
    assert verdict_of(page) == "Yes"


async def test_a_large_backlog_is_counted_up_to_a_bound(db):
    await put(db, JOBS, *(shop.job() for _ in range(1200)))
    async with opened(jobs_of(db)) as client:
        assert rows_of(await look(client))["queue default"][1].startswith("1,000+ due")


@pytest.mark.parametrize(
    ("statement", "missing"),
    [
        ("DROP TABLE roadworthy_operator_actions", "table roadworthy_operator_actions"),
        (
            "ALTER TABLE roadworthy_workers DROP COLUMN version",
            "column roadworthy_workers.version",
        ),
    ],
)
async def test_a_table_that_is_lacking_forbids_a_rollout_and_hides_no_other_row(
    db, statement, missing
):
    async with opened(jobs_of(db), ProblemLog(db)) as client:
        async with db.engine.begin() as connection:
            await connection.execute(text(statement))
        page = await look(client)
        rows = rows_of(page)
    assert verdict_of(page) == "No"
    assert rows["tables of jobs"][1].startswith(f"the database has no {missing}")
    assert rows["backlog"][0] == "well"
    assert rows["server errors"][0] == "well"
    if "workers" in missing:
        assert rows["workers"][0] == "unknown"


async def test_without_the_table_of_problems_that_row_says_so(db):
    async with opened(jobs_of(db), ProblemLog(db)) as client:
        async with db.engine.begin() as connection:
            await connection.execute(text("DROP TABLE roadworthy_problems"))
        rows = rows_of(await look(client))
    assert rows["server errors"][0] == "unknown"
    assert "SELECT" not in rows["server errors"][1]
    assert rows["backlog"][0] == "well"


async def test_checks_are_rows_and_a_critical_one_that_fails_forbids_a_rollout():
    async def fine() -> None: ...

    async def warns() -> str:
        return "only 3 bytes are free"

    async def fails() -> None:
        raise OSError("<b>gone</b>")

    health = Health()
    health.add("fine", fine)
    health.add("disk", warns, critical=False)
    health.add("schema", fails)
    async with opened(health) as client:
        page = await look(client)
    rows = rows_of(page)
    assert verdict_of(page) == "No"
    assert rows["check fine"][0] == "well"
    assert rows["check disk"] == ("wait", "is not well: only 3 bytes are free")
    assert rows["check schema"][0] == "stop"
    assert "&lt;b&gt;gone" in rows["check schema"][1]
    assert "<b>gone" not in page


async def test_while_it_drains_the_answer_is_no(monkeypatch):
    health = Health(drain=timedelta(seconds=30))
    async with opened(health) as client:
        monkeypatch.setattr(Health, "draining", True)
        page = await look(client)
    assert verdict_of(page) == "No"
    assert rows_of(page)["this process"][0] == "stop"


@pytest.fixture
def proxied(postgres_server):
    url = make_url(postgres_server)
    with Proxy(url.port or 5432) as proxy:
        yield proxy


@pytest.mark.parametrize("fault", ["cut", "hang"])
async def test_with_the_database_away_it_answers_within_four_seconds(proxied, postgres_url, fault):
    through = make_url(postgres_url).set(host="127.0.0.1", port=proxied.port)
    db = Database(through)
    async with db:
        async with db.engine.begin() as connection:
            await connection.run_sync(metadata.drop_all)
            await connection.run_sync(metadata.create_all)
        health = Health()
        async with opened(jobs_of(db), ProblemLog(db), health) as client:
            getattr(proxied, fault)()
            began = time.monotonic()
            page = await look(client)
            took = time.monotonic() - began
            proxied.restore()
    assert took < 4
    rows = rows_of(page)
    assert verdict_of(page) == "Wait"
    assert rows["check event_loop"][0] == "well"
    asked = ("tables of jobs", "backlog", "workers", "jobs that died", "paused", "server errors")
    for about in asked:
        assert rows[about][0] == "unknown"
        assert rows[about][1].startswith("cannot be read: the database")


async def test_with_the_pool_exhausted_it_answers(database_url):
    async with Database(database_url, pool_size=1, max_wait=timedelta(seconds=30)) as db:
        async with db.engine.begin() as connection:
            await connection.run_sync(metadata.drop_all)
            await connection.run_sync(metadata.create_all)
        async with opened(jobs_of(db)) as client, db.read() as one, db.begin() as other:
            await one.execute(text("SELECT 1"))
            if db.engine.dialect.name == "sqlite":
                await other.execute(text("SELECT 1"))
            page = await asyncio.wait_for(look(client), 10)
    assert rows_of(page)["backlog"][0] == "well"


async def test_one_question_that_hangs_leaves_the_others_their_answers(db, monkeypatch):
    async def hangs(connection):
        await asyncio.sleep(60)

    monkeypatch.setattr("roadworthy.console.signs.of_jobs._backlog", hangs)
    async with opened(jobs_of(db)) as client:
        rows = rows_of(await look(client))
    assert rows["backlog"] == ("unknown", "cannot be read: the database took too long")
    assert rows["workers"][0] == "wait"
    assert rows["jobs that died"][0] == "well"

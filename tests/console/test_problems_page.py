"""Problems are found by code, route, status, caller, time and request id."""

import re

from sqlalchemy import insert

from console import shop
from console.shop import JOBS, PROBLEMS, ago, jobs_of, opened, problem, put
from roadworthy import idempotency, problem_log
from roadworthy.problem_log import ProblemLog


async def text_of(client, target: str, status: int = 200) -> str:
    page = await client.get(target)
    assert page.status_code == status
    return page.text


def codes_in(page: str) -> list[str]:
    rows = page.partition("last ones</h2>")[2] or page.partition("Older</h2>")[2]
    return re.findall(r'<th scope="row"><a href="[^"]*/problems/[^"]+">(\w+)</a>', rows)


async def count(db, **changed):
    row = {
        "begins_at": ago(minutes=20),
        "code": "OUT_OF_STOCK",
        "status": 409,
        "route": "/orders",
        "reason": "",
        "problems": 3,
        **changed,
    }
    async with db.engine.begin() as connection:
        await connection.execute(insert(problem_log.counts), row)


async def test_without_a_problem_log_there_is_no_such_page(db):
    async with opened(jobs_of(db)) as client:
        assert "/ops/problems" not in await text_of(client, "/ops")
        for target in ("/ops/problems", "/ops/problems/x", "/ops/problems/request?id=x"):
            await text_of(client, target, 404)


async def test_an_empty_log_says_so(db):
    async with opened(ProblemLog(db)) as client:
        page = await text_of(client, "/ops/problems")
    assert "None that fits is kept." in page
    assert "<strong>0</strong> within 24h" in page


async def test_problems_are_filtered_by_the_url(db):
    await put(
        db,
        PROBLEMS,
        problem(code="A", status=404, route="/x", caller="c1"),
        problem(code="B", status=500, route="/y", caller="c2", exception="shop.Bad"),
        problem(code="C", status=503, route="/y", caller="c1"),
        problem(code="D", at=ago(days=3)),
    )
    async with opened(ProblemLog(db)) as client:
        for query, codes in (
            ("", ["C", "B", "A"]),
            ("?code=B", ["B"]),
            ("?route=/y", ["C", "B"]),
            ("?status=4", ["A"]),
            ("?status=5&route=/y&code=C", ["C"]),
            ("?caller=c1", ["C", "A"]),
            ("?since=7d", ["D", "C", "B", "A"]),
            ("?since=%00&status=x&code=", ["C", "B", "A"]),
            ("?code=" + "%27 OR 1=1 --", []),
        ):
            page = await text_of(client, f"/ops/problems{query}")
            assert codes_in(page) == codes, query


async def test_counts_are_told_by_kind_and_drawn(db):
    await count(db)
    await count(db, begins_at=ago(hours=2), problems=40)
    await count(db, code="INTERNAL_ERROR", status=500, route="/y", problems=1234)
    async with opened(ProblemLog(db)) as client:
        page = await text_of(client, "/ops/problems")
        narrow = await text_of(client, "/ops/problems?since=1h&status=4")
    assert "<strong>1,277</strong> within 24h" in page
    assert 'class="bar bad"' in page
    assert page.index("INTERNAL_ERROR") < page.index("OUT_OF_STOCK")
    assert "<strong>3</strong> within 1h" in narrow
    assert 'class="bar bad"' not in narrow


async def test_pages_follow_each_other_by_an_id_and_keep_the_filter(db):
    await put(db, PROBLEMS, *(problem(code=f"C{n}", status=404 + n % 2) for n in range(120)))
    seen, target = [], "/ops/problems?status=4&since=6h"
    async with opened(ProblemLog(db)) as client:
        while target:
            page = await text_of(client, target)
            seen += codes_in(page)
            found = re.search(r'rel="next" href="([^"]+)"', page)
            target = found.group(1).replace("&amp;", "&") if found else ""
            assert not target or "status=4&since=6h" in target
    assert seen == [f"C{n}" for n in reversed(range(120))]


async def test_one_problem_tells_its_class_its_frames_and_the_others_of_its_caller(db):
    one = problem(
        code="INTERNAL_ERROR",
        status=500,
        caller="feedbeef",
        exception="shop.Bad",
        traceback='File "orders.py", line 7, in place <b>',
        request_id="req-1",
        reason="bomb",
    )
    await put(db, PROBLEMS, one)
    async with opened(ProblemLog(db)) as client:
        page = await text_of(client, f"/ops/problems/{one['id']}")
        await text_of(client, "/ops/problems/nobody", 404)
    assert "shop.Bad" in page
    assert "line 7, in place &lt;b&gt;" in page
    assert "/ops/problems?caller=feedbeef" in page
    assert "/ops/problems/request?id=req-1" in page


async def test_a_request_id_leads_to_its_problems_jobs_and_kept_answer(db):
    mine = problem(request_id="req-1")
    await put(db, PROBLEMS, mine, problem(code="OTHER", request_id="req-2"))
    job = shop.job("dead", request_id="req-1", error_code="SMTP_DOWN")
    await put(db, JOBS, job, shop.job(request_id="req-2", task="shop.other"))
    answer = {
        "id": "x",
        "route": "POST /orders",
        "fingerprint": "",
        "status": 201,
        "headers": [],
        "body": b"secret",
        "expires_at_ms": 4_000_000_000_000,
        "request_id": "req-1",
    }
    await put(db, idempotency.table, answer)
    async with opened(jobs_of(db), ProblemLog(db)) as client:
        page = await text_of(client, "/ops/problems/request?id=req-1")
        nothing = await text_of(client, "/ops/problems/request?id=<script>")
        await text_of(client, "/ops/problems/request")
    assert "OUT_OF_STOCK" in page
    assert "SMTP_DOWN" in page
    assert f"/ops/jobs/{job['id']}" in page
    assert "POST /orders" in page
    assert "answered 201" in page
    assert "OTHER" not in page
    assert "shop.other" not in page
    assert "secret" not in page
    assert "None is kept with this id" in nothing
    assert "<script>" not in nothing.partition("<body>")[2]


async def test_a_service_without_answers_for_repeats_says_so(db):
    async with opened(ProblemLog(db)) as client:
        async with db.engine.begin() as connection:
            await connection.run_sync(idempotency.metadata.drop_all)
        page = await text_of(client, "/ops/problems/request?id=req-1")
    assert "This database keeps no answers for repeats." in page


async def test_a_query_that_is_too_long_is_refused_in_words(db):
    async with opened(ProblemLog(db)) as client:
        page = await text_of(client, f"/ops/problems?code={'x' * 300}", 422)
    assert "code" in page
    assert "xxx" not in page


async def test_with_the_database_away_the_page_says_so(db):
    async with opened(ProblemLog(db)) as client:
        async with db.engine.begin() as connection:
            await connection.run_sync(problem_log.metadata.drop_all)
        page = await text_of(client, "/ops/problems", 503)
    assert "The database cannot be read" in page
    assert "SELECT" not in page

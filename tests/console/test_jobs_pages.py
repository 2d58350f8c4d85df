"""Jobs in the console: found by filters, shown without secrets, changed by who may, and noted."""

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select

from console import busy, shop
from console.consoles import SAME
from console.shop import JOBS, ago, job, jobs_of, opened, put
from roadworthy import jobs
from roadworthy.console import EVERY_ACTION, Viewer, acting
from roadworthy.console.pages import jobs as jobs_page
from roadworthy.jobs import operations
from roadworthy.jobs.operations import bulk, search
from roadworthy.problem_log import ProblemLog


def ops(request):
    return Viewer("ana", actions=EVERY_ACTION)


def looker(request):
    return Viewer("ben")


async def states(db):
    async with db.read() as tx:
        return dict((await tx.execute(select(JOBS.c.id, JOBS.c.state))).all())


async def noted(db):
    async with db.read() as tx:
        return [
            (each.who, each.what, dict(each.target), each.jobs)
            for each in await operations.recent(tx)
        ]


def rows_of(page):
    return re.findall(r'<th scope="row"><a href="/ops/jobs/([\w-]+)">', page)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", "edcba"),
        ("state=dead", "ba"),
        ("state=retrying", "d"),
        ("task=shop.other", "b"),
        ("queue=slow", "c"),
        ("error_code=DOWN", "a"),
        ("request_id=r1", "e"),
        ("text=ann%25", "c"),
        ("state=dead&task=shop.other", "b"),
        ("after=2026-01-01T00:00&before=2126-01-01T00:00", "edcba"),
        ("before=2026-01-01T00:00", ""),
        ("task=%27%3B--", ""),
        ("task=++", "edcba"),
    ],
)
async def test_a_filter_shows_the_jobs_it_means_the_newest_first(db, query, wanted):
    a, b = job("dead", error_code="DOWN"), job("dead", task="shop.other", error_code="LOST")
    c, d = job("queued", queue="slow", attempts=0, arguments='{"to":"ann%"}'), job("scheduled")
    await put(db, JOBS, a, b, c, d, e := job("succeeded", request_id="r1"))
    async with opened(jobs_of(db), access=ops) as client:
        page = await client.get(f"/ops/jobs?{query}")

    names = {each["id"]: name for name, each in zip("abcde", (a, b, c, d, e), strict=True)}
    assert page.status_code == 200
    assert "".join(names[id_] for id_ in rows_of(page.text)) == wanted
    number = len(wanted)
    assert f"<strong>{number} {'job' if number == 1 else 'jobs'}</strong>" in page.text


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("state=done", "There is no such state"),
        ("after=noon", "after is no time"),
        ("task=%00", "NUL"),
        (f"text={'x' * 201}", "201 characters"),
    ],
)
async def test_a_filter_that_can_mean_nothing_is_told_in_words(db, query, told):
    await put(db, JOBS, job())
    async with opened(jobs_of(db), access=ops) as client:
        page = await client.get(f"/ops/jobs?{query}")
    assert page.status_code == 422
    assert told in page.text
    assert rows_of(page.text) == []


async def test_pages_follow_each_other_and_keep_the_filters(db, monkeypatch):
    monkeypatch.setattr(jobs_page, "LIMIT", 3)
    meant = [job("dead") for _ in range(7)]
    await put(db, JOBS, *meant, *(job("queued") for _ in range(4)))
    async with opened(jobs_of(db), access=ops) as client:
        url, seen = "/ops/jobs?state=dead&queue=default", []
        while url:
            page = (await client.get(url)).text
            seen += rows_of(page)
            assert "<strong>7 jobs</strong>" in page
            found = re.search(r'href="([^"]*)" rel="next"', page)
            url = found[1].replace("&amp;", "&") if found else None
            if url:
                assert {"state", "queue", "older"} == set(parse_qs(urlsplit(url).query))

    assert seen == [each["id"] for each in reversed(meant)]


async def test_a_search_that_takes_too_long_says_how_far_it_got(db, monkeypatch):
    monkeypatch.setattr(jobs_page, "_LOOKING", timedelta(0))
    monkeypatch.setattr(search, "FIRST", 2)
    monkeypatch.setattr(search, "MOST", 2)
    await put(db, JOBS, rare := job(task="shop.rare"), *(job() for _ in range(6)))
    async with opened(jobs_of(db), access=ops) as client:
        url, looks = "/ops/jobs?task=shop.rare", 0
        while not rows_of(page := (await client.get(url)).text):
            assert "older ones may match" in page
            assert "or more jobs" in page
            url = re.findall(r'href="([^"]*)" rel="next"', page)[0].replace("&amp;", "&")
            looks += 1
    assert rows_of(page) == [rare["id"]]
    assert looks == 3


async def test_one_job_is_shown_with_its_attempts_and_without_secrets(db):
    ids = await busy.fill(db)
    async with opened(jobs_of(db), ProblemLog(db), access=ops, redact=["smtp"]) as client:
        page = (await client.get(f"/ops/jobs/{ids['dead']}")).text

    assert busy.SECRET not in page
    assert "<b>ann</b>" not in page
    assert "&lt;b&gt;ann&lt;/b&gt;@example.com" in page
    assert page.count('<li class="bad">') == 3
    assert "smtp://REDACTED@mail.example is gone" in page
    assert "/app/shop/mail.py" in page
    assert 'href="/ops/problems?request_id=req-1"' in page
    assert 'href="/ops/jobs?request_id=req-1"' in page


async def test_arguments_that_cannot_be_read_are_not_shown(db):
    broken, long = job(arguments='{"password": "hunter2"'), job(arguments=f'"{"x" * 70_000}"')
    deep = job(arguments="[" * 5000 + "]" * 5000)
    await put(db, JOBS, broken, long, deep)
    async with opened(jobs_of(db), access=ops) as client:
        pages = [(await client.get(f"/ops/jobs/{each['id']}")) for each in (broken, long, deep)]

    assert [page.status_code for page in pages] == [200] * 3
    assert "hunter2" not in pages[0].text
    assert "no JSON that can be read" in pages[0].text
    assert "70,002 characters" in pages[1].text


@pytest.mark.parametrize("path", ["no-such-job", "%00", "a" * 40, "..%2fqueues", "1%27--"])
async def test_a_job_that_there_is_not_has_no_page(db, path):
    async with opened(jobs_of(db), access=ops) as client:
        assert (await client.get(f"/ops/jobs/{path}")).status_code == 404


@pytest.mark.parametrize(
    ("way", "before", "after"),
    [
        ("retry", "dead", "queued"),
        ("cancel", "queued", "cancelled"),
        ("dismiss", "parked", "cancelled"),
    ],
)
async def test_who_may_changes_one_job_and_is_noted(db, way, before, after):
    one, other = job(before), job(before)
    await put(db, JOBS, one, other)
    async with opened(jobs_of(db), access=ops) as client:
        done = await client.post(
            f"/ops/jobs/{one['id']}/{way}",
            data={"at": "jobs", "back": f"state={before}&queue=default"},
            headers=SAME,
        )
        assert done.status_code == 303
        assert done.headers["location"] == f"/ops/jobs?state={before}&queue=default"
        told = (await client.get(done.headers["location"])).text

    assert await states(db) == {one["id"]: after, other["id"]: before}
    assert await noted(db) == [("ana", way, {"job": one["id"]}, 1)]
    assert f"Job {one['id']} is" in told


async def test_a_change_that_cannot_be_made_says_why_and_is_not_noted(db):
    holder = job("queued", unique_key="k", unique_of="k")
    await put(db, JOBS, holder, dead := job("dead", unique_of="k"), done := job("succeeded"))
    async with opened(jobs_of(db), access=ops) as client:
        for id_, way, why in (
            (dead["id"], "retry", f"job {holder['id']} has its unique key"),
            (done["id"], "retry", "is not dead, cancelled or parked"),
            ("gone", "cancel", "there is none any more"),
        ):
            post = await client.post(f"/ops/jobs/{id_}/{way}", data={"at": "jobs"}, headers=SAME)
            page = (await client.get(post.headers["location"])).text
            assert "Nothing was changed" in page
            assert why in page
    assert await noted(db) == []


@pytest.mark.parametrize("way", ["retry", "cancel", "dismiss"])
@pytest.mark.parametrize("path", ["/ops/jobs/{id}/{way}", "/ops/jobs/all/{way}"])
async def test_who_may_only_look_sees_no_button_and_changes_nothing(db, way, path):
    await put(db, JOBS, one := job("parked"))
    async with opened(jobs_of(db), access=looker) as client:
        page = (await client.get("/ops/jobs?state=parked")).text
        refused = await client.post(
            path.format(id=one["id"], way=way), data={"state": "parked"}, headers=SAME
        )
    assert '<form method="post"' not in page
    assert refused.status_code == 403
    assert await states(db) == {one["id"]: "parked"}


async def test_a_post_of_another_site_changes_nothing(db):
    await put(db, JOBS, one := job("dead"))
    async with opened(jobs_of(db), access=ops) as client:
        for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "http://evil.test"}, {}):
            for path in (f"/ops/jobs/{one['id']}/retry", "/ops/jobs/all/retry"):
                post = await client.post(path, data={"state": "dead"}, headers=headers)
                assert post.status_code == 403
        assert (await client.get("/ops/jobs/all/retry")).status_code == 404
    assert await states(db) == {one["id"]: "dead"}


async def test_all_that_match_are_changed_and_no_other(db):
    meant = [job("dead", error_code="DOWN") for _ in range(3)]
    others = [job("dead", error_code="LOST"), job("queued")]
    await put(db, JOBS, *meant, *others)
    fields = {"state": "dead", "error_code": "DOWN", "back": "state=dead&error_code=DOWN"}
    async with opened(jobs_of(db), access=ops) as client:
        page = (await client.get("/ops/jobs?state=dead&error_code=DOWN")).text
        assert "3 jobs match. Dismiss those that are dead or parked?" in page
        post = await client.post("/ops/jobs/all/dismiss", data=fields, headers=SAME)
        assert parse_qs(urlsplit(post.headers["location"]).query) == {
            "state": ["dead"],
            "error_code": ["DOWN"],
        }
        told = (await client.get(post.headers["location"])).text

    assert "3 jobs are dismissed." in told
    found = await states(db)
    assert {found[each["id"]] for each in meant} == {"cancelled"}
    assert [found[each["id"]] for each in others] == ["dead", "queued"]
    target = {"state": "dead", "error_code": "DOWN"}
    assert await noted(db) == [("ana", "dismiss_all", target, 3)]


async def test_a_change_of_too_many_stops_in_time_and_says_that_there_may_be_more(db, monkeypatch):
    monkeypatch.setattr(acting, "_TOGETHER", timedelta(0))
    monkeypatch.setattr(bulk, "BATCH", 2)
    await put(db, JOBS, *(job("dead") for _ in range(5)))
    async with opened(jobs_of(db), access=ops) as client:
        post = await client.post("/ops/jobs/all/retry", data={"state": "dead"}, headers=SAME)
        told = (await client.get(post.headers["location"])).text
    assert "2 jobs are queued again. There may be more" in told
    assert sorted((await states(db)).values()) == ["dead"] * 3 + ["queued"] * 2


@pytest.mark.parametrize("fields", [{}, {"state": ""}, {"state": "nonsense"}, {"unknown": "x"}])
async def test_no_form_changes_all_jobs_there_are(db, fields):
    await put(db, JOBS, one := job("dead"))
    async with opened(jobs_of(db), access=ops) as client:
        post = await client.post("/ops/jobs/all/retry", data=fields, headers=SAME)
    assert post.status_code == 404
    assert await states(db) == {one["id"]: "dead"}


async def test_dead_jobs_are_grouped_by_task_and_error(db):
    await put(
        db,
        JOBS,
        *(job("dead", error_code="DOWN", finished_at=ago(minutes=9)) for _ in range(3)),
        job("dead", error_code="LOST", finished_at=ago(minutes=1)),
        job("dead", task="shop.other", error_code="DOWN", finished_at=ago(minutes=5)),
        job("succeeded", finished_at=ago(minutes=1)),
    )
    async with opened(jobs_of(db), access=ops) as client:
        page = (await client.get("/ops/dead")).text
        one = (await client.get("/ops/dead?task=shop.mail&error_code=DOWN")).text

    groups = re.findall(
        r'<a href="/ops/dead\?[^"]*">([\w.]+)</a></th>\s*<td><code>(\w+)</code></td>\s*'
        r'<td class="number">(\d+)</td>',
        page,
    )
    assert groups == [
        ("shop.mail", "LOST", "1"),
        ("shop.other", "DOWN", "1"),
        ("shop.mail", "DOWN", "3"),
    ]
    assert len(rows_of(page)) == 5
    assert len(rows_of(one)) == 3


async def test_queues_show_what_waits_how_fast_jobs_end_and_what_is_paused(db):
    await busy.fill(db)
    async with opened(jobs_of(db), access=ops) as client:
        page = (await client.get("/ops/queues")).text
        await client.post(
            "/ops/pauses/pause", data={"kind": "task", "name": "shop.mail.send"}, headers=SAME
        )
        after = (await client.get("/ops/queues")).text

    assert re.search(r"queue=slow[^<]*slow</a>.*?paused</span> by ben", page, re.DOTALL)
    assert re.search(r'queue=mail[^<]*mail</a></th>\s*<td class="number">1</td>', page)
    assert "<svg" in page
    assert "41 jobs succeeded or were cancelled in the last 60 minutes" in page
    assert "The task shop.mail.send is paused." in after
    assert ("ana", "pause", {"task": "shop.mail.send"}, 0) in await noted(db)
    assert re.search(r"<th scope=\"row\">ana</th>\s*<td>pause</td>", after)


@pytest.mark.parametrize("kind", ["queue", "task", "schedule"])
async def test_what_is_paused_goes_on_when_it_is_resumed(db, kind):
    async with opened(jobs_of(db), access=ops) as client:
        for do, told in (("pause", "is paused"), ("resume", "goes on"), ("resume", "was not")):
            post = await client.post(
                f"/ops/pauses/{do}", data={"kind": kind, "name": "a b"}, headers=SAME
            )
            page = (await client.get(post.headers["location"])).text
            assert f"The {kind} a b {told}" in page
    assert [what for _, what, _, _ in await noted(db)] == ["resume", "pause"]


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/ops/pauses/pause", {"kind": "queue", "name": "a"}),
        ("/ops/pauses/resume", {"kind": "queue", "name": "a"}),
        ("/ops/schedules/run-now", {"name": "a"}),
    ],
)
async def test_who_may_only_retry_neither_pauses_nor_runs(db, path, fields):
    def retrier(request):
        return Viewer("ben", actions=["retry"])

    async with opened(jobs_of(db), access=retrier) as client:
        assert (await client.post(path, data=fields, headers=SAME)).status_code == 403
    assert await noted(db) == []


@pytest.mark.parametrize("fields", [{}, {"kind": "jobs", "name": "a"}, {"kind": "queue"}])
async def test_what_cannot_be_paused_is_told_in_words(db, fields):
    async with opened(jobs_of(db), access=ops) as client:
        post = await client.post("/ops/pauses/pause", data=fields, headers=SAME)
        page = (await client.get(post.headers["location"])).text
    assert post.status_code == 303
    assert 'class="flash bad"' in page
    assert await noted(db) == []


async def test_a_schedule_is_shown_run_and_paused(db):
    await busy.fill(db)
    async with opened(jobs_of(db), access=ops) as client:
        page = (await client.get("/ops/schedules")).text
        name = busy.nightly.name
        await client.post("/ops/schedules/run-now", data={"name": name}, headers=SAME)
        await client.post(
            "/ops/pauses/pause",
            data={"kind": "schedule", "name": name, "at": "schedules"},
            headers=SAME,
        )
        after = (await client.get("/ops/schedules")).text

    assert re.search(r"Every 1:00:00.*?40 min ago.*?in (19|20) min.*?>41<", page, re.DOTALL)
    assert "paused</span>" in after
    async with db.read() as tx:
        (record,) = await operations.scheduled(tx)
        asked = await tx.scalar(select(shop.tables.schedules.c.asked_at))
    assert record.paused
    assert asked is not None
    assert [what for _, what, _, _ in await noted(db)] == ["pause", "run_now"]


async def test_workers_are_shown_with_what_they_run_and_who_is_silent(db):
    ids = await busy.fill(db)
    await put(db, JOBS, job("running", worker="gone", started_at=ago(minutes=1)))
    async with opened(jobs_of(db), access=ops) as client:
        page = (await client.get("/ops/workers")).text

    assert "2 processes, <strong>1 silent</strong>" in page
    assert re.search(r"alive</span>.*?web-1, process 81.*?" + ids["running"], page, re.DOTALL)
    assert "no worker is known" in page


@pytest.mark.parametrize("path", ["jobs", "jobs/a", "dead", "schedules", "queues", "workers"])
async def test_pages_answer_in_words_while_the_tables_are_away(db, path):
    async with opened(jobs_of(db), access=ops) as client:
        async with db.engine.begin() as connection:
            await connection.run_sync(jobs.metadata.drop_all)
        page = await client.get(f"/ops/{path}")
    assert page.status_code == 503
    assert "The database cannot be read" in page.text

"""A real browser does every action on jobs, with JavaScript and without; axe finds nothing."""

import asyncio
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from console import busy
from roadworthy import jobs
from roadworthy.database import Database
from roadworthy.jobs.table.tables import pauses, schedules
from support.server import Server, uvicorn_command

AXE = (Path(__file__).parents[1] / "support" / "axe" / "axe.min.js").read_text()
TESTS = Path(__file__).parents[1]
PAGES = ["jobs", "jobs?state=dead", "jobs/{dead}", "jobs/{running}", "dead", "schedules"]
PAGES += ["queues", "workers", "jobs?state=nonsense", "jobs/none"]


class Busy:
    """A running service with jobs of every kind, and its rows."""

    def __init__(self, folder: Path) -> None:
        self.database = f"sqlite:///{folder / 'busy.db'}"
        self.ids = asyncio.run(self._fill())
        path = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
        env = {"URL": self.database, "PYTHONPATH": path}
        command = uvicorn_command("console.busy:create_app", factory=True)
        self.server = Server(command, log=folder / "server.log", env=env)
        self.url = f"{self.server.url}/ops"
        self.engine = sa.create_engine(self.database)

    def refill(self) -> None:
        self.ids = asyncio.run(self._fill())

    def value(self, query: Any) -> Any:
        with self.engine.connect() as connection:
            return connection.scalar(query)

    def state(self, name: str) -> str:
        of = jobs.table.c.id == self.ids[name]
        return str(self.value(sa.select(jobs.table.c.state).where(of)))

    def count(self, *which: Any) -> int:
        return int(self.value(sa.select(sa.func.count()).select_from(jobs.table).where(*which)))

    def stop(self) -> None:
        self.engine.dispose()
        self.server.stop()

    async def _fill(self) -> dict[str, str]:
        async with Database(self.database) as db:
            return await busy.fill(db)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Busy]:
    """Serve it as long as the tests of this file need it."""
    one = Busy(tmp_path_factory.mktemp("busy"))
    yield one
    one.stop()


@pytest.fixture
def shop(running: Busy) -> Busy:
    """The service as if nobody had acted yet."""
    running.refill()
    return running


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def browse(request: pytest.FixtureRequest, chromium: Any) -> Any:
    """Do something with a new page of a browser."""

    def run(work: Any, **options: Any) -> Any:
        def on(page: Any) -> Any:
            with page.context.browser.new_context(
                java_script_enabled=request.param, **options
            ) as context:
                return work(context.new_page())

        return chromium.run(on, timeout=120)

    return run


def told(page: Any) -> str:
    return str(page.locator(".flash[role=status]").inner_text())


def test_one_job_is_retried_at_once(shop, browse):
    def work(page):
        page.goto(f"{shop.url}/jobs?state=dead&queue=mail")
        page.get_by_role("button", name=f"Retry job {shop.ids['dead']}").click()
        return page.url, told(page)

    url, flash = browse(work)
    assert url == f"{shop.url}/jobs?state=dead&queue=mail"
    assert flash == f"Job {shop.ids['dead']} is queued again."
    assert shop.state("dead") == "queued"


@pytest.mark.parametrize("name", ["dead", "running"])
def test_a_job_is_put_away_only_after_a_second_click(shop, browse, name):
    way = {"dead": "Dismiss", "running": "Cancel"}[name]
    asked = jobs.table.c.id == shop.ids[name]

    def work(page):
        page.goto(f"{shop.url}/jobs/{shop.ids[name]}")
        page.locator("summary", has_text=way).click()
        before = shop.count(asked, jobs.table.c.state == name, ~jobs.table.c.cancel_requested)
        page.get_by_role("button", name=f"{way} job {shop.ids[name]} now").click()
        return before, told(page), page.url

    before, flash, url = browse(work)
    assert before == 1
    assert shop.ids[name] in flash
    assert url == f"{shop.url}/jobs/{shop.ids[name]}"
    stopped = (jobs.table.c.state == "cancelled") | jobs.table.c.cancel_requested
    assert shop.count(asked, stopped) == 1


def test_all_that_match_are_retried_and_the_filters_stay(shop, browse):
    def work(page):
        page.goto(f"{shop.url}/jobs")
        page.get_by_label("State").select_option("dead")
        page.get_by_label("Task").fill("shop.invoices.render")
        page.get_by_role("button", name="Show").click()
        page.get_by_role("button", name="Retry all jobs that match").click()
        return page.get_by_label("State").input_value(), told(page)

    state, flash = browse(work)
    assert state == "dead"
    assert flash == "3 jobs are queued again."
    assert shop.count(jobs.table.c.state == "dead") == 1


def test_all_that_match_are_cancelled_after_the_number_was_read(shop, browse):
    def work(page):
        page.goto(f"{shop.url}/jobs?state=queued")
        page.get_by_text("Cancel all…").click()
        asked = page.get_by_text("2 jobs match.").inner_text()
        page.get_by_role("button", name="Cancel all", exact=True).click()
        return asked, told(page)

    asked, flash = browse(work)
    assert asked == "2 jobs match. Cancel those that wait or run?"
    assert flash == "2 jobs are cancelled, or told to stop."
    assert shop.count(jobs.table.c.state == "queued") == 0


def test_a_group_of_dead_jobs_is_dismissed(shop, browse):
    def work(page):
        page.goto(f"{shop.url}/dead")
        row = page.get_by_role("row").filter(has_text="FontMissing").first
        row.locator("summary").click()
        row.get_by_role("button", name=re.compile("Dismiss all")).click()
        return page.url, told(page)

    url, flash = browse(work)
    assert url == f"{shop.url}/dead"
    assert flash == "3 jobs are dismissed."


def test_a_queue_is_paused_and_resumed(shop, browse):
    def work(page):
        page.goto(f"{shop.url}/queues")
        page.get_by_role("button", name="Pause queue mail").click()
        paused = shop.value(sa.select(pauses.c.paused_by).where(pauses.c.name == "mail"))
        page.get_by_role("button", name="Resume queue mail").click()
        return paused, told(page)

    assert browse(work) == ("ana", "The queue mail goes on.")
    assert shop.value(sa.select(pauses.c.name).where(pauses.c.name == "mail")) is None


def test_a_schedule_is_run_now_and_paused(shop, browse):
    name = busy.nightly.name

    def work(page):
        page.goto(f"{shop.url}/schedules")
        page.get_by_role("button", name=f"Run now {name}").click()
        run = told(page)
        page.get_by_role("button", name=f"Pause schedule {name}").click()
        return run, told(page)

    run, paused = browse(work)
    assert run == f"A worker enqueues {name} as soon as it hears of it."
    assert paused == f"The schedule {name} is paused."
    assert shop.value(sa.select(schedules.c.asked_at)) is not None


def test_who_may_only_look_has_no_buttons(shop, browse):
    def work(page):
        page.context.add_cookies([{"name": "reader", "value": "1", "url": shop.url}])
        found = []
        for path in PAGES[:8]:
            page.goto(f"{shop.url}/{path.format(**shop.ids)}")
            found += page.locator("main form[method=post]").all()
        return len(found)

    assert browse(work) == 0


def test_a_list_shows_what_has_changed_without_being_asked(shop, chromium):
    def work(page):
        page.goto(f"{shop.url}/jobs/{shop.ids['dead']}")
        with shop.engine.begin() as connection:
            this = jobs.table.c.id == shop.ids["dead"]
            connection.execute(sa.update(jobs.table).where(this).values(state="queued"))
        page.evaluate("htmx.trigger(document.body, 'refresh')")
        page.locator("#live .badge", has_text="retrying").first.wait_for()
        return page.locator("#live").count()

    assert chromium.run(work) == 1


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (390, "dark"),
        (1280, "light"),
        pytest.param(390, "light", marks=pytest.mark.soak),
        pytest.param(1280, "dark", marks=pytest.mark.soak),
    ],
)
def test_axe_finds_nothing_and_no_page_scrolls_sideways(running, chromium, width, scheme):
    found, wide, errors = [], [], []

    def work(page):
        size = {"width": width, "height": 800}
        # The policy of the pages forbids the script of this test, too.
        options = {"viewport": size, "color_scheme": scheme, "bypass_csp": True}
        with page.context.browser.new_context(**options) as context:
            for path in PAGES:
                look(context.new_page(), path)

    def look(page, path):
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{running.url}/{path.format(**running.ids)}")
        for summary in page.locator("main details > summary").all():
            summary.click()
        page.evaluate(AXE)
        found.extend(
            (path, broken["id"], [node["html"] for node in broken["nodes"]][:2])
            for broken in page.evaluate("axe.run()")["violations"]
        )
        if page.evaluate("document.documentElement.scrollWidth") > width:
            wide.append(path)
        page.close()

    chromium.run(work, timeout=300)
    assert (found, wide, errors) == ([], [], [])


def test_nothing_of_a_page_breaks_its_own_policy(running, chromium):
    blocked = []

    def work(page):
        page.on("console", lambda message: blocked.append(message.text))
        for path in PAGES[:8]:
            page.goto(f"{running.url}/{path.format(**running.ids)}")

    chromium.run(work, timeout=120)
    assert [text for text in blocked if "Content Security Policy" in text] == []

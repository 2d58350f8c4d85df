"""The console tells the same truth wherever jobs run: here, in Celery's workers and in RQ's."""

import re
from datetime import timedelta

import pytest

from console.consoles import SAME
from console.shop import opened
from jobs.engines.celery_crew import CeleryCrew
from jobs.engines.crews import OverBroker
from jobs.engines.rq_crew import RqCrew
from roadworthy.console import EVERY_ACTION, Viewer
from roadworthy.jobs import Embedded, Jobs, State
from roadworthy.testing import contract_tasks as tasks
from roadworthy.testing.contract.setting import Setting, add, reach, until


def ops(request):
    return Viewer("ana", actions=EVERY_ACTION)


class Pages(Setting):
    """What is asked of every engine."""

    async def test_pages_tell_what_workers_do_and_actions_reach_them(self, db, log):
        console = Jobs(db, tasks=tasks.TASKS, parts=[tasks.Greeting("hello")], run=False)
        async with self.working(db), opened(console, access=ops) as client:

            async def page(path):
                answer = await client.get(f"/ops/{path}")
                assert answer.status_code == 200
                return answer.text

            async def post(path, **fields):
                answer = await client.post(f"/ops/{path}", data=fields, headers=SAME)
                assert answer.status_code == 303

            done = await add(db, tasks.note.call(log=log.path, text="done"))
            died = await add(db, tasks.fail_until_allowed.call(log=log.path))
            runs = await add(db, tasks.wait.call(log=log.path, name="stay"))
            await reach(db, done, State.SUCCEEDED)
            await reach(db, died, State.DEAD)
            await reach(db, runs, State.RUNNING)

            found = await page("jobs")
            for id_, state in ((done, "succeeded"), (died, "dead"), (runs, "running")):
                assert re.search(rf">{state}</span></td>\s*<th[^>]*><a [^>]*{id_}", found)
            assert "contract.fail_until_allowed" in await page("dead")
            one = await page(f"jobs/{died}")
            assert one.count('<li class="bad">') == 1
            assert "Traceback of attempt 1" in one

            async def shown():
                return runs in (await page("workers")).split("no worker is known")[0]

            await until(shown, "the worker is shown with what it runs")
            assert "alive" in await page("workers")

            await post("pauses/pause", kind="task", name=tasks.note.name)
            waits = await add(db, tasks.note.call(log=log.path, text="waits"))
            await reach(db, waits, State.PARKED)
            await post("pauses/resume", kind="task", name=tasks.note.name)
            await reach(db, waits, State.SUCCEEDED)

            log.allow("go")
            await post(f"jobs/{died}/retry")
            await reach(db, died, State.SUCCEEDED)
            await post(f"jobs/{runs}/cancel")
            await reach(db, runs, State.CANCELLED)
            ended = re.search(r"([\d,]+) jobs succeeded or were cancelled", await page("queues"))
            assert int(ended[1]) >= 4


class TestEmbedded(Pages):
    """In this process."""

    def make_engine(self, *, at_a_time=20):
        grace = timedelta(milliseconds=200)
        return Embedded(concurrency=at_a_time, processes=1, lease=self.lease, grace=grace)


@pytest.mark.soak
class TestCelery(OverBroker, Pages):
    """In Celery's workers, over RabbitMQ."""

    def make_crew(self, broker):
        return CeleryCrew(broker=broker, pool="prefork")

    @pytest.fixture
    def broker_url(self, rabbitmq_url):
        return rabbitmq_url


@pytest.mark.soak
class TestRq(OverBroker, Pages):
    """In RQ's workers."""

    def make_crew(self, broker):
        return RqCrew(broker=broker)

    @pytest.fixture
    def broker_url(self, redis_url):
        return redis_url

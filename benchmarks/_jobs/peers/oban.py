"""Oban for Python, on PostgreSQL. It may run under another Python: imports stay few."""

import asyncio

from oban import Oban, job
from oban.schema import install

from _jobs import common

UNFINISHED = "SELECT count(*) FROM oban_jobs WHERE state <> 'completed'"
countdown: common.Countdown


@job()
async def noop(n: int) -> None:
    countdown.done()


def fill(url: str, n: str) -> None:
    asyncio.run(_fill(url, int(n)))
    common.result()


async def _fill(url: str, n: int) -> None:
    pool = await Oban.create_pool(url)
    await install(pool)
    await Oban(pool=pool).enqueue_many([noop.new(i) for i in range(n)])


def work(url: str, n: str) -> None:
    global countdown  # noqa: PLW0603 - the job is a function of this module
    countdown = common.Countdown(int(n), lambda: int(str(common.query(url, UNFINISHED)[0][0])))
    asyncio.run(_work(url))


async def _work(url: str) -> None:
    pool = await Oban.create_pool(url)
    countdown.start()
    async with Oban(pool=pool, queues={"default": 500}):
        await asyncio.sleep(3600)

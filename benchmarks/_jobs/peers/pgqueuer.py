"""pgqueuer, on PostgreSQL."""

import os

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from _jobs import common

UNFINISHED = "SELECT count(*) FROM pgqueuer"


def fill(url: str, n: str) -> None:
    uvloop.run(_fill(url, int(n)))
    common.result()


async def _fill(url: str, n: int) -> None:
    connection = await asyncpg.connect(url)
    queries = Queries.from_asyncpg_connection(connection)
    await queries.install()
    payloads: list[bytes | None] = [str(i).encode() for i in range(n)]
    await queries.enqueue(["noop"] * n, payloads, [0] * n)


def work(url: str, n: str) -> None:
    countdown = common.Countdown(int(n), lambda: int(str(common.query(url, UNFINISHED)[0][0])))

    async def main() -> None:
        worker = PgQueuer.from_asyncpg_connection(await asyncpg.connect(url))

        @worker.entrypoint("noop")
        async def noop(_: Job) -> None:
            countdown.done()

        countdown.start()
        await worker.run(batch_size=int(os.environ["BATCH"]))

    uvloop.run(main())

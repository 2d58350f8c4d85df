"""A queue with a limit takes no more places than that, and the others stay free."""

import asyncio
from collections import Counter

from roadworthy import tables
from roadworthy.database import Database
from roadworthy.jobs import Embedded, Job, Jobs, enqueue_many, task

MAILS = 20


class Server:
    """It hangs until it is told to go on, and counts who waits."""

    def __init__(self) -> None:
        self.waiting = 0
        self.most = 0
        self.sent: Counter[int] = Counter()
        self.go_on = asyncio.Event()
        self.noted = asyncio.Event()
        self.all_sent = asyncio.Event()


@task(name="limits.mail", queue="limited")
async def mail(job: Job, number: int) -> None:
    server = job.find(Server)
    server.waiting += 1
    server.most = max(server.most, server.waiting)
    await server.go_on.wait()
    server.waiting -= 1
    server.sent[number] += 1
    if server.sent.total() == MAILS:
        server.all_sent.set()


@task(name="limits.note")
async def note(job: Job) -> None:
    job.find(Server).noted.set()


async def test_a_slow_server_leaves_places_to_other_work_and_all_is_sent_in_the_end(database_url):
    server = Server()
    engine = Embedded(concurrency=4, queue_limits={"limited": 2})
    async with Database(database_url) as db:
        async with db.engine.begin() as connection:
            await connection.run_sync(tables.metadata.create_all)
        async with Jobs(db, tasks=[mail, note], parts=[server], engine=engine), asyncio.timeout(30):
            async with db.begin() as tx:
                await enqueue_many(tx, [mail.call(number) for number in range(MAILS)])
            async with db.begin() as tx:
                await note.enqueue(tx)

            await server.noted.wait()
            held_up = server.waiting
            server.go_on.set()
            await server.all_sent.wait()

    assert held_up == server.most == 2
    assert set(server.sent.values()) == {1}

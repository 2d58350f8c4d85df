"""Events come in one order, none is missed and none comes twice, however transactions commit."""

import asyncio
import itertools
import random
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.clients import listening
from events.shop import Shop, database, shop
from roadworthy import events
from roadworthy.database import Database
from roadworthy.events.ordering import BATCH, give_positions
from support.polling import until_async


def is_sqlite(db: Database) -> bool:
    return db.engine.dialect.name == "sqlite"


async def kept(db: Database) -> list[Any]:
    """Return the data of all events, in their order."""
    query = sa.select(events.table.c.data).order_by(events.table.c.position)
    async with db.begin() as tx:
        return [int(data) for data in await tx.scalars(query)]


async def test_a_transaction_that_commits_late_with_low_ids_is_told_all_the_same(postgres_url):
    async with database(postgres_url) as db, shop(db) as here, listening(here.app) as client:
        async with db.begin() as slow:
            await events.publish(slow, "orders", "written first")
            await here.publish("written second")
            assert await client.count(1) == ["written second"]
            await here.publish("written third")
            await client.count(2)

        assert (await client.count(3))[-1] == "written first"


async def test_no_writer_waits_for_another_one(postgres_url):
    async with database(postgres_url) as db, shop(db) as here, db.begin() as slow:
        await events.publish(slow, "orders", 1)
        async with asyncio.timeout(30):
            await here.publish(2)
            await here.settled()


async def test_concurrent_writers_are_told_whole_by_several_processes(db):
    """Each `shop` has a feed of its own, as another process would have."""
    number = 8 if is_sqlite(db) else 25

    async def write(here: Shop, writer: int) -> None:
        for step in range(number):
            async with db.begin() as tx:
                await events.publish(tx, "orders", writer * 1000 + step)
                if not is_sqlite(db):
                    await asyncio.sleep(random.uniform(0, 0.02))
                await events.publish(tx, "orders", writer * 1000 + step + 500)
                if random.random() < 0.2:
                    await tx.rollback()

    async with (
        shop(db) as one,
        shop(db) as two,
        shop(db) as three,
        listening(one.app) as a,
        listening(two.app) as b,
        listening(three.app) as c,
    ):
        await asyncio.gather(*(write(one, writer) for writer in range(6)))
        await one.settled()
        wanted = await kept(db)
        told = [await client.count(len(wanted)) for client in (a, b, c)]
        await one.publish(-1)
        for client in (a, b, c):
            assert (await client.count(len(wanted) + 1))[-1] == -1

    assert told == [wanted] * 3
    for writer in range(6):
        mine = [one for one in wanted if one // 1000 == writer and one % 1000 < 500]
        assert mine == sorted(mine)


async def test_those_who_give_positions_at_once_give_each_one(postgres_url):
    number = BATCH + 200
    async with database(postgres_url) as db:
        fill = sa.text(
            "INSERT INTO roadworthy_events (topic, data, at) "
            f"SELECT 'orders', n::text, now() FROM generate_series(1, {number}) n"
        )
        async with db.begin() as tx:
            await tx.execute(fill)

        async def give() -> int:
            total, more = 0, True
            while more:
                async with db.engine.connect() as plain:
                    connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
                    given, more = await give_positions(connection)
                    total += given
            return total

        assert sum(await asyncio.gather(*(give() for _ in range(6)))) == number
        assert await kept(db) == list(range(1, number + 1))


async def test_a_process_that_died_behind_its_commit_leaves_nothing_untold(postgres_url):
    async with database(postgres_url) as db:
        async with db.begin() as tx:
            await events.publish(tx, "orders", "left")  # no part is open that would hear of it
        async with shop(db) as here, listening(here.app, after="0-0") as client:
            assert await client.count(1) == ["left"]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), st.integers(0, 2)),
        st.tuples(st.just("roll back"), st.integers(0, 2)),
        st.tuples(st.just("write"), st.integers(0, 2)),
        st.just(("leave", 0)),
        st.just(("break off", 0)),
        st.just(("restart", 0)),
    ),
    max_size=30,
)


async def _law(url: str, steps: list[tuple[str, int]]) -> None:
    """Do the steps, and ask that a client has got what was committed since it began, in order."""
    async with database(url) as db:
        async with db.engine.begin() as connection:
            await connection.execute(sa.delete(events.table))
            await connection.execute(sa.delete(events.order))
        # On SQLite one transaction writes at a time.
        writers = 1 if is_sqlite(db) else 3
        told, last, numbers = list[Any](), "0-0", itertools.count(1)
        for restart in _parts(steps):
            async with shop(db) as here:
                opened = _Opened(db, writers)
                for part in restart:
                    async with listening(here.app, after=last) as client:
                        for step, who in part:
                            await opened.do(step, who, numbers)
                        if len(part) % 2:
                            await client.break_off()
                    told += client.data
                    last = client.last_id
                    assert client.gaps == []
                await opened.close()
        async with shop(db) as here:
            await here.publish(0)
            await here.settled()
            async with listening(here.app, after=last) as client:
                await client.until(lambda: 0 in client.data)
            told += client.data
        assert told == await kept(db)


class _Opened:
    """The transactions that are open, one a writer."""

    def __init__(self, db: Database, writers: int) -> None:
        self._db, self._writers = db, writers
        self._connections: dict[int, Any] = {}

    async def do(self, step: str, who: int, numbers: Iterator[int]) -> None:
        who %= self._writers
        if step == "write":
            if who not in self._connections:
                self._connections[who] = await self._db.engine.connect()
            await events.publish(self._connections[who], "orders", next(numbers))
        elif who in self._connections:
            connection = self._connections.pop(who)
            await (connection.commit() if step == "commit" else connection.rollback())
            await connection.close()

    async def close(self) -> None:
        for connection in self._connections.values():
            await connection.close()


def _parts(steps: list[tuple[str, int]]) -> list[list[list[tuple[str, int]]]]:
    """Split what happens at the restarts, and that at the disconnects."""
    found: list[list[list[tuple[str, int]]]] = [[[]]]
    for step in steps:
        if step[0] == "restart":
            found.append([[]])
        elif step[0] in {"leave", "break off"}:
            found[-1].append([])
        else:
            found[-1][-1].append(step)
    return found


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_a_client_gets_what_was_committed_over_any_disconnects(url, steps):
    asyncio.run(_law(url, steps))


async def test_a_topic_that_joins_while_others_are_read_misses_nothing(
    open_shop: Shop, monkeypatch
):
    """A look that does not ask for a topic may end behind that of a client who just came."""
    from roadworthy.events import feed

    real, arrived, go_on = feed.read_page, asyncio.Event(), asyncio.Event()

    async def late(connection, after, topics, *, limit):
        if topics == {"a"} and limit > 64:
            arrived.set()
            await go_on.wait()  # asked without "b", and read only now
        return await real(connection, after, topics, limit=limit)

    async with listening(open_shop.app, "/events?topic=a"):
        monkeypatch.setattr(feed, "read_page", late)
        await open_shop.publish("wakes", topic="a")
        await asyncio.wait_for(arrived.wait(), 30)
        async with listening(open_shop.app, "/events?topic=b", after="0-0") as client:
            await until_async(lambda: open_shop.part.feed.listeners == 2)
            await open_shop.publish("for b", topic="b")
            await open_shop.settled() if is_sqlite(open_shop.db) else await _settle(open_shop)
            go_on.set()
            assert await client.count(1) == ["for b"]


async def _settle(here: Shop) -> None:
    async with here.db.engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        await give_positions(connection)

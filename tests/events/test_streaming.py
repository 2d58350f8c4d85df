"""A client goes on where it was, is told of what is missing, and holds nothing meanwhile."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from events.clients import InProcess, listening
from events.shop import Shop, database, shop
from roadworthy import events
from roadworthy.events import feed, listener, pruning
from support.pace import Pace
from support.polling import until_async

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def test_a_client_that_comes_back_is_told_what_it_missed(open_shop: Shop):
    async with listening(open_shop.app) as client:
        await open_shop.publish(1)
        await client.count(1)
    await open_shop.publish(2, 3)

    async with listening(open_shop.app, after=client.last_id) as again:
        await open_shop.publish(4)
        assert await again.count(3) == [2, 3, 4]


async def test_the_first_request_may_name_its_place_in_the_query(open_shop: Shop):
    await open_shop.publish("before")
    await open_shop.settled()
    async with open_shop.db.read() as tx:
        place = await events.position(tx)
    await open_shop.publish("behind")

    async with listening(open_shop.app, f"/events?last_event_id={place}") as client:
        assert await client.count(1) == ["behind"]


async def test_many_that_were_missed_come_in_pages_and_in_order(open_shop: Shop):
    async with listening(open_shop.app) as client:
        pass
    await open_shop.publish(*range(1500))

    async with listening(open_shop.app, after=client.last_id) as again:
        assert await again.count(1500) == list(range(1500))


async def test_a_burst_that_is_more_than_may_wait_is_told_whole(open_shop: Shop):
    number = 3 * listener._MAX_EVENTS
    async with listening(open_shop.app) as client:
        await open_shop.publish(*range(number))
        assert await client.count(number) == list(range(number))
        await open_shop.publish("more")
        assert (await client.count(number + 1))[-1] == "more"


async def test_large_events_are_bounded_by_their_bytes(open_shop: Shop):
    large = "x" * 60_000
    async with listening(open_shop.app) as client:
        client.taking.clear()
        # More than the bound, whatever is taken at once before the client stops.
        for number in range(60):
            await open_shop.publish([number, large])
        waiting = next(iter(open_shop.part.feed._listeners["orders"]))
        await until_async(lambda: waiting.is_behind)
        assert waiting._bytes <= listener._MAX_BYTES
        client.taking.set()

        assert [one[0] for one in await client.count(60)] == list(range(60))


async def test_a_client_that_takes_nothing_is_ended_and_whole_after_coming_back(db):
    async with shop(db, patience=timedelta(seconds=0.3)) as here:
        async with listening(here.app) as client:
            await here.publish(0)
            await client.count(1)
            client.taking.clear()
            for number in range(1, 600):
                await here.publish(number)
            await client.end()
        assert here.part.feed.listeners == 0

        async with listening(here.app, after=client.last_id) as again:
            await again.until(lambda: again.data[-1:] == [599])
            assert client.data + again.data == list(range(600))


async def test_a_heartbeat_moves_the_id_on_where_others_are_told(db):
    async with (
        shop(db, heartbeat=timedelta(seconds=0.05)) as here,
        listening(here.app, "/events?topic=quiet") as client,
    ):
        began = client.last_id
        await here.publish("loud", topic="loud")
        await client.until(lambda: client.last_id != began)
        await here.publish("now", topic="quiet")
        await client.count(1)

        assert client.heartbeats > 0
        assert client.data == ["now"]


async def test_what_was_pruned_is_told_as_a_gap(db):
    async with shop(db, keep=timedelta(hours=1)) as here:
        async with listening(here.app) as client:
            pass
        gone = pruning.BATCH + 5
        async with listening(here.app) as last:
            await here.publish(*range(gone + 5))
            await last.count(gone + 5)
        old = sa.update(events.table).where(events.table.c.position <= gone)
        await here.execute(old.values(at=LONG_AGO))
        await here.part._prune_all()

        async with listening(here.app, after=client.last_id) as again:
            await again.count(5)
            assert [one.name for one in again.told[:2]] == ["gap", "message"]
            assert again.gaps == [{"after": client.last_id, "from": again.told[0].id}]
            assert again.data == list(range(gone, gone + 5))
        async with listening(here.app, after=again.last_id) as third:
            await here.publish("on")
            assert await third.count(1) == ["on"]
            assert third.gaps == []


async def test_a_gap_that_was_not_taken_is_told_again(open_shop: Shop):
    await open_shop.publish(1)
    before = "99999-1"
    async with InProcess(open_shop.app, "/events", {"last-event-id": before}) as client:
        client.taking.clear()
        await client.break_off()
    assert client.last_id in {"", before}

    async with listening(open_shop.app, after=client.last_id or before) as again:
        await again.until(lambda: again.gaps)


async def test_an_order_that_was_set_back_is_told_to_who_comes_back(open_shop: Shop):
    await open_shop.publish(1, 2)
    await open_shop.settled()
    async with listening(open_shop.app) as client:
        await open_shop.publish("lost")
        await client.count(1)
    await _set_back(open_shop, to=2)
    await open_shop.publish("another")
    await open_shop.settled()  # in the very place of the one that is lost

    async with listening(open_shop.app, after=client.last_id) as again:
        await again.until(lambda: again.gaps)
        await open_shop.publish("on")
        await again.until(lambda: again.data == ["on"])


async def test_an_order_that_was_set_back_is_told_to_who_listens(open_shop: Shop):
    async with listening(open_shop.app) as client:
        await open_shop.publish(*range(5))
        await client.count(5)
        await _set_back(open_shop, to=2)
        await open_shop.publish("a", "b", "c", "d")
        await client.until(lambda: client.gaps)
        await open_shop.publish("e")
        await client.until(lambda: "e" in client.data)

    assert client.told[5].name == "gap"


async def _set_back(here: Shop, *, to: int) -> None:
    async with here.db.begin() as tx:
        await tx.execute(sa.delete(events.table).where(events.table.c.position > to))
        await tx.execute(sa.update(events.order).values(last=to))


@pytest.mark.parametrize(
    "place", ["1", "a-b", "-1-2", "1-2-3", "1-" + "9" * 19, "٣-٤", "1-2\x00", " "]
)
@pytest.mark.parametrize("way", ["header", "query"])
async def test_an_id_that_no_stream_has_given_is_400(open_shop: Shop, place, way):
    path = "/events" if way == "header" else f"/events?last_event_id={quote(place)}"
    headers = {"last-event-id": place} if way == "header" else {}
    try:
        client = InProcess(open_shop.app, path, headers)
    except UnicodeError:
        pytest.skip("no header can hold it")
    async with client:
        await client.end()

    assert client.status == 400
    assert b"PLACE_MALFORMED" in client.body


@pytest.mark.parametrize("place", ["0-0", "0-5", "999999999999999999-0", "1-999999999999999999"])
async def test_an_id_that_was_made_up_reads_nothing_it_should_not(open_shop: Shop, place):
    await open_shop.publish("secret", topic="another")
    await open_shop.publish(1)
    async with listening(open_shop.app, after=place) as client:
        await client.until(lambda: client.told)
        await open_shop.publish(2)
        await client.until(lambda: client.data[-1:] == [2])

    assert "secret" not in client.data


@pytest.mark.parametrize("topic", ["a%00b", "x" * 201, "%0A"])
async def test_a_topic_from_a_path_that_nothing_has_stops_nobody(open_shop: Shop, topic):
    async with listening(open_shop.app) as client:
        async with InProcess(open_shop.app, f"/events?topic={topic}") as strange:
            await strange.end()
        assert strange.status == 404
        await open_shop.publish(1)
        assert await client.count(1) == [1]


async def test_one_more_than_may_listen_is_503(db):
    async with shop(db, at_most=2) as here, listening(here.app), listening(here.app):
        async with InProcess(here.app, "/events") as third:
            await third.end()
        assert third.status == 503
        assert third.headers["retry-after"] == "5"


async def test_many_who_come_at_once_are_no_more_than_may_listen(db):
    async with shop(db, at_most=5) as here:
        clients = [InProcess(here.app, "/events") for _ in range(20)]
        await asyncio.gather(*(client.__aenter__() for client in clients))
        await asyncio.gather(*(client.until(lambda c=client: c.status) for client in clients))
        statuses = sorted(client.status or 0 for client in clients)
        await asyncio.gather(*(client.__aexit__() for client in clients))

    assert statuses == [200] * 5 + [503] * 15


async def test_who_may_not_listen_any_more_is_ended(open_shop: Shop):
    async with listening(open_shop.app, "/guarded") as client:
        await open_shop.publish(1)
        await client.count(1)
        open_shop.banned = True
        await client.end()

    assert client.ended
    assert open_shop.part.feed.listeners == 0


async def test_idle_clients_hold_no_connection(open_shop: Shop):
    async with listening(open_shop.app), listening(open_shop.app), listening(open_shop.app):
        for engine in (open_shop.db.engine, open_shop.db.read_engine):
            await until_async(lambda e=engine: e.pool.checkedout() == 0)


@pytest.mark.parametrize("when", range(12))
async def test_a_client_that_breaks_off_at_any_moment_leaves_nothing(db, when):
    async with shop(db) as here:
        await here.publish(*range(100))
        await here.settled()
        client = InProcess(here.app, "/events", {"last-event-id": "0-0"})
        await client.__aenter__()
        for _ in range(when * 3):
            await asyncio.sleep(0)
        await client.break_off()

        assert here.part.feed.listeners == 0
        assert not here.part.feed._listeners
        for engine in (db.engine, db.read_engine):
            await until_async(lambda e=engine: e.pool.checkedout() == 0)
        async with listening(here.app, after="0-0") as again:
            assert await again.count(100) == list(range(100))


async def test_a_database_that_is_away_for_a_while_costs_no_event(open_shop: Shop, monkeypatch):
    real, fails = feed.read_page, 3

    async def sometimes(*given, **more):
        nonlocal fails
        if fails:
            fails -= 1
            raise ConnectionError
        return await real(*given, **more)

    async with listening(open_shop.app) as client:
        monkeypatch.setattr(feed, "read_page", sometimes)
        await open_shop.publish(1)
        assert await client.count(1) == [1]
    assert fails == 0


async def test_pruning_keeps_nobody_waiting_for_long(postgres_url: str):
    """Writers publish and the order is settled while old events go: the slowest is measured."""
    old = sa.text(
        "INSERT INTO roadworthy_events (position, topic, data, at) SELECT n, 'orders', '1', "
        "'2020-01-01' FROM generate_series(1, 20000) n"
    )
    async with database(postgres_url) as db, shop(db) as here:
        await here.execute(old)
        await here.execute(sa.insert(events.order).values(name="events", last=20000, pruned=0))
        alone = [await _publishing_takes(here, number) for number in range(20)]
        prunes = asyncio.create_task(here.part._prune_all())
        with Pace() as pace:
            beside = list[float]()
            while not prunes.done():
                beside.append(await _publishing_takes(here, len(beside)))
        await here.settled()
        left = await here.scalar(sa.select(sa.func.count()).select_from(events.table))

    assert left == len(alone) + len(beside)
    assert max(beside) < pace.stretched(1)


async def _publishing_takes(here: Shop, number: int) -> float:
    began = time.monotonic()
    await here.publish(number)
    await here.settled()
    return time.monotonic() - began

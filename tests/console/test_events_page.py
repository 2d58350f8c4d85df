"""Events shows who listens in this process, how late they are told, and what is kept."""

import re
from datetime import UTC, datetime

from console.shop import opened
from roadworthy import events
from roadworthy.database import Database
from roadworthy.events import Events
from roadworthy.events.listener import Listener
from support.polling import until_async


async def test_listeners_lag_and_what_is_kept_are_shown(db: Database):
    part = Events(db, at_most=7)
    async with opened(part) as client:
        before = (await client.get("/ops/events")).text
        listener = Listener(frozenset({"orders"}))
        with part.feed.joined(listener):
            await part.feed.begin()
            async with db.begin() as tx:
                for number in range(3):
                    await events.publish(tx, "orders", number)
            await until_async(lambda: part.state.lag is not None)
            page = (await client.get("/ops/events")).text
    assert "0 of at most 7" in before
    assert "none was told here" in before
    assert "1 of at most 7" in page
    assert re.search(r"told .+ after it was published", page)
    assert "3, of which 0 are gone" in page
    assert "style=" not in page


async def test_events_that_nobody_has_given_a_place_are_counted(db: Database, monkeypatch):
    part = Events(db)
    monkeypatch.setattr(part.feed, "wake", lambda: None)  # nobody gives it one
    async with opened(part) as client:
        async with db.begin() as tx:
            await tx.execute(
                events.table.insert().values(topic="orders", data="1", at=datetime.now(UTC))
            )
        page = (await client.get("/ops/events")).text
    assert re.search(r"Without a place yet</dt><dd>1, the oldest", page)


async def test_there_is_no_such_page_without_events():
    async with opened() as client:
        assert (await client.get("/ops/events")).status_code == 404

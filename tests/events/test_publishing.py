"""What is published exists if and only if its transaction commits, and is told in one order."""

import asyncio
from contextlib import suppress

import pytest
import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.orm import Session

from events.clients import listening
from events.shop import Shop, shop
from roadworthy import events
from roadworthy.events import feed


class Ready(BaseModel):
    invoice: bool


async def test_what_is_published_is_told_with_its_name_and_data(open_shop: Shop):
    async with listening(open_shop.app) as client:
        await open_shop.publish(Ready(invoice=True), name="ready")
        await open_shop.publish({"text": "zwei\nZeilen\r und \u2028"})
        await client.count(2)

    assert [(one.name, one.data) for one in client.told] == [
        ("ready", {"invoice": True}),
        ("message", {"text": "zwei\nZeilen\r und \u2028"}),
    ]
    assert client.headers["cache-control"] == "no-store"


async def test_a_transaction_that_is_rolled_back_publishes_nothing(open_shop: Shop):
    async with listening(open_shop.app) as client:
        with suppress(ZeroDivisionError):
            async with open_shop.db.begin() as tx:
                await events.publish(tx, "orders", "undone")
                raise ZeroDivisionError
        await open_shop.publish("done")

        assert await client.count(1) == ["done"]


async def test_a_savepoint_that_is_rolled_back_publishes_nothing(open_shop: Shop):
    async with listening(open_shop.app) as client:
        async with open_shop.db.begin() as tx:
            await events.publish(tx, "orders", 1)
            savepoint = await tx.begin_nested()
            await events.publish(tx, "orders", "undone")
            await savepoint.rollback()
            async with tx.begin_nested():
                await events.publish(tx, "orders", 2)
            assert client.data == []
        await open_shop.publish(3)

        assert await client.count(3) == [1, 2, 3]


async def test_sync_code_and_bare_connections_publish_as_well(open_shop: Shop):
    def publish(session: Session) -> None:
        events.publish_sync(session, "orders", "a session")
        events.publish_sync(session.connection(), "orders", "a connection")

    async with listening(open_shop.app) as client:
        async with open_shop.db.begin() as tx:
            await tx.run_sync(publish)
        async with open_shop.db.engine.begin() as connection:
            await events.publish(connection, "orders", "bare")

        assert await client.count(3) == ["a session", "a connection", "bare"]


async def test_threads_publish_and_wake_who_listens(open_shop: Shop):
    def publish() -> None:
        with open_shop.db.begin_sync() as session:
            events.publish_sync(session, "orders", "from a thread")

    async with listening(open_shop.app) as client:
        await asyncio.to_thread(publish)

        assert await client.count(1) == ["from a thread"]


async def test_a_commit_wakes_who_listens_where_nobody_looks(open_shop: Shop, monkeypatch):
    def in_a_thread() -> None:
        with open_shop.db.begin_sync() as session:
            events.publish_sync(session, "orders", "a thread")

    for name in ("_LOOK", "_LOOK_ALONE"):
        monkeypatch.setattr(feed, name, 3600.0)
    async with listening(open_shop.app) as client:
        await open_shop.publish("a session")
        await client.count(1)
        await asyncio.to_thread(in_a_thread)
        await client.count(2)
        if open_shop.db.engine.dialect.name == "postgresql":  # which tells of commits itself
            async with open_shop.db.engine.begin() as connection:
                await events.publish(connection, "orders", "bare")
            await client.count(3)


async def test_only_the_topics_that_were_asked_for_are_told(open_shop: Shop):
    async with (
        listening(open_shop.app, "/events?topic=a&topic=b") as both,
        listening(open_shop.app, "/events?topic=b") as one,
    ):
        for topic in "cab":
            await open_shop.publish(topic, topic=topic)

        assert await both.count(2) == ["a", "b"]
        assert await one.count(1) == ["b"]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (float("nan"), TypeError),
        (float("inf"), TypeError),
        (object(), TypeError),
        ("\ud800", TypeError),
        ("x" * (64 * 1024), events.EventTooLarge),
    ],
    ids=["nan", "infinity", "object", "surrogate", "large"],
)
async def test_what_no_client_could_read_is_refused(open_shop: Shop, data, error):
    async with open_shop.db.begin() as tx:
        with pytest.raises(error):
            await events.publish(tx, "orders", data)


@pytest.mark.parametrize("topic", ["", "a\nb", "a\x00", "x" * 201])
async def test_a_topic_that_cannot_be_told_is_refused(open_shop: Shop, topic):
    async with open_shop.db.begin() as tx:
        with pytest.raises(ValueError, match="topic"):
            await events.publish(tx, topic, 1)


@pytest.mark.parametrize("name", ["", "a\nid: 7", "gap", "x" * 101])
async def test_a_name_that_would_mislead_is_refused(open_shop: Shop, name):
    async with open_shop.db.begin() as tx:
        with pytest.raises(ValueError, match="name"):
            await events.publish(tx, "orders", 1, name=name)


async def test_the_wrong_transaction_is_refused_where_it_is_passed(open_shop: Shop):
    with pytest.raises(TypeError, match=r"events\.publish_sync"):
        await events.publish(Session(), "orders", 1)
    async with open_shop.db.begin() as tx:
        with pytest.raises(TypeError, match=r"await events\.publish\("):
            events.publish_sync(tx, "orders", 1)


async def test_a_database_without_the_tables_is_refused_with_what_to_type(db):
    async with db.engine.begin() as connection:
        await connection.execute(sa.schema.DropTable(events.order))

    with pytest.raises(RuntimeError, match=r"no table roadworthy_event_order.*alembic"):
        async with shop(db):
            pass

"""`publish`: write an event in the caller's transaction; it exists if that commits."""

from typing import Any, Final, TypeAlias

from pydantic_core import PydanticSerializationError, from_json, to_json
from sqlalchemy import Connection, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

from roadworthy._sqlalchemy.transactions import connection_of, to_await, to_call
from roadworthy.events.clock import moment
from roadworthy.events.errors import EventTooLarge
from roadworthy.events.ordering import take_position
from roadworthy.events.signals import announce
from roadworthy.events.tables import table
from roadworthy.events.wire import GAP

__all__ = ["MAX_BYTES", "is_topic", "publish", "publish_sync"]

Here: TypeAlias = AsyncSession | AsyncConnection
MAX_BYTES: Final = 64 * 1024
"""Bytes of an event's data as JSON: what is larger has an address of its own, and that is sent."""
_MAX_TOPIC: Final = 200
_MAX_NAME: Final = 100


async def publish(tx: Here, topic: str, data: Any, *, name: str | None = None) -> None:
    """Write an event that all who listen to a topic are told once `tx` commits.

        await events.publish(tx, f"orders/{order.id}", OrderReady(invoice=True), name="ready")

    A transaction that is rolled back publishes nothing. No other transaction waits for this
    one, and this one waits for none.

    Args:
        tx: A transaction: `Tx`, or any `AsyncSession` or `AsyncConnection`.
        topic: What it is about, 1 to 200 characters.
        data: A Pydantic model, a dataclass, or plain values: what can be written as JSON, at most
            64 KiB of it.
        name: The `event` of Server-Sent Events, for `addEventListener`; `message` without one.

    Raises:
        TypeError: `tx` is no such transaction, or `data` cannot be written as JSON.
        ValueError: The topic or the name is too long, has a line break, or is empty, or the name
            is `gap`, by which a client is told that events are missing.
        EventTooLarge: `data` has more bytes.
    """
    row = _row(topic, data, name)
    await to_await(tx, "events.publish", "events.publish_sync").run_sync(_write, row)


def publish_sync(
    tx: Session | Connection, topic: str, data: Any, *, name: str | None = None
) -> None:
    """Write an event where nothing is awaited: `SyncTx`, a `Session`; see `publish`."""
    _write(to_call(tx, "events.publish_sync", "events.publish"), _row(topic, data, name))


def _write(tx: Session | Connection, row: dict[str, Any]) -> None:
    connection = connection_of(tx)
    if connection.dialect.name == "sqlite":
        row |= {"position": take_position(connection, 1)}
    connection.execute(insert(table).values(**row, at=moment(connection.dialect.name)))
    announce(tx, connection)


def _row(topic: str, data: Any, name: str | None) -> dict[str, Any]:
    return {
        "topic": _line("topic", topic, _MAX_TOPIC),
        "name": None if name is None else _name(name),
        "data": _json(data),
    }


def is_topic(text: str) -> bool:
    """Return whether events can be published under a topic."""
    return 0 < len(text) <= _MAX_TOPIC and text.isprintable()


def _name(text: str) -> str:
    if text == GAP:
        raise ValueError(f"An event named {GAP!r} says that some are missing: choose another name.")
    return _line("name", text, _MAX_NAME)


def _line(what: str, text: str, most: int) -> str:
    if not text or len(text) > most or not text.isprintable():
        raise ValueError(
            f"The {what} of an event has 1 to {most} printable characters, and {text[:40]!r} "
            f"has {len(text)}."
        )
    return text


def _json(data: Any) -> str:
    try:
        found = to_json(data, inf_nan_mode="constants")
        from_json(found, allow_inf_nan=False)  # a browser could not read NaN
    except (PydanticSerializationError, ValueError) as error:
        raise TypeError(f"This cannot be published, as JSON cannot hold it: {error}") from error
    if len(found) > MAX_BYTES:
        raise EventTooLarge(
            f"The data of an event has at most {MAX_BYTES} bytes, and this has {len(found)}. "
            "Publish where it can be read, such as an id."
        )
    return found.decode()

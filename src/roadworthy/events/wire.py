"""Server-Sent Events on the wire (WHATWG HTML §9.2)."""

import json
from random import randint
from typing import Final

from roadworthy.events.place import Place
from roadworthy.events.reading import KeptEvent

__all__ = ["GAP", "encode", "gap", "moved_on", "retry"]

GAP: Final = "gap"
"""The name of the event that says some are missing."""
_RETRY_MS: Final = (1000, 5000)
"""Milliseconds after which a client comes back: each another, so that not all come at once."""


def encode(event: KeptEvent) -> bytes:
    """Return an event as a client reads it; JSON has no line break in it."""
    name = "" if event.name is None else f"event: {event.name}\n"
    return f"id: {event.place}\n{name}data: {event.data}\n\n".encode()


def retry() -> bytes:
    """Return what tells a client when to come back after the end of a stream."""
    return f"retry: {randint(*_RETRY_MS)}\n\n".encode()  # noqa: S311 - no secret


def moved_on(place: Place) -> bytes:
    """Return what moves on the id that a client comes back with, and keeps a connection open.

    A block without data is no event; its id counts all the same (§9.2.6).
    """
    return f": \nid: {place}\n\n".encode()


def gap(place: Place, *, wanted: Place) -> bytes:
    """Return the event that says: what was between is not known any more; read anew."""
    data = json.dumps({"after": str(wanted), "from": str(place)})
    return f"id: {place}\nevent: {GAP}\ndata: {data}\n\n".encode()

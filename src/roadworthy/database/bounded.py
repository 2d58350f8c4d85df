"""Connections of psycopg that end with their unit of work whatever was begun there.

The server ends a statement that takes too long; one that hangs, or is cut off by the network,
ends nothing: such a connection gives up by itself. asyncpg has a limit of its own for that.
A result that is read in parts, and not to its end, is closed by the server when its
transaction ends; psycopg would warn that nobody has closed it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

__all__ = ["connecting_within"]


def connecting_within(seconds: float | None) -> Callable[..., Awaitable[Any]]:
    """Return what connects; each answer has to come within `seconds` then, if they are given."""
    # psycopg is one of two drivers: only who uses it has it.
    psycopg: Any = import_module("psycopg")

    class Part(psycopg.AsyncServerCursor):  # type: ignore[misc]
        """A result that is read in parts, for as long as its transaction lasts."""

        def __del__(self, *_: Any) -> None:
            """Say nothing: what was left open here, the end of the transaction has closed."""

    class Bounded(psycopg.AsyncConnection):  # type: ignore[misc]
        """A connection that does not wait for ever; it is closed where it gives up."""

        def __init__(self, *args: Any, **options: Any) -> None:
            theirs: Any = super()
            theirs.__init__(*args, **options)
            self.server_cursor_factory = Part

        async def wait(self, *args: Any, **options: Any) -> Any:
            theirs: Any = super()
            if "timeout" in options:  # it waits for notices, and has a time of its own
                return await theirs.wait(*args, **options)
            async with asyncio.timeout(seconds):
                return await theirs.wait(*args, **options)

    connect: Callable[..., Awaitable[Any]] = Bounded.connect
    return connect

"""Connections of psycopg with a deadline; results end with their transaction.

The server ends a statement that takes too long. A server that hangs, or that the network has cut
off, ends nothing, so the connection gives up by itself; asyncpg has a limit of its own for that.
A result that is read in parts, and not to its end, is closed by the server at the end of the
transaction; psycopg would warn that it was not closed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

__all__ = ["connecting_within"]


def connecting_within(seconds: float | None) -> Callable[..., Awaitable[Any]]:
    """Return a function that connects; each answer then has to come within `seconds`."""
    # psycopg is optional: it is installed only where it is used.
    psycopg: Any = import_module("psycopg")

    class Part(psycopg.AsyncServerCursor):  # type: ignore[misc]
        """A result that is read in parts, during its transaction."""

        def __del__(self, *_: Any) -> None:
            """Do not warn: the end of the transaction has closed the result."""

    class Bounded(psycopg.AsyncConnection):  # type: ignore[misc]
        """A connection that does not wait for ever, and closes itself when it gives up."""

        def __init__(self, *args: Any, **options: Any) -> None:
            theirs: Any = super()
            theirs.__init__(*args, **options)
            self.server_cursor_factory = Part

        async def wait(self, *args: Any, **options: Any) -> Any:
            theirs: Any = super()
            if "timeout" in options:  # waiting for notices has a limit of its own
                return await theirs.wait(*args, **options)
            async with asyncio.timeout(seconds):
                return await theirs.wait(*args, **options)

    connect: Callable[..., Awaitable[Any]] = Bounded.connect
    return connect

"""Connections of psycopg that give up a server which does not answer.

The server ends a statement that takes too long; one that hangs, or is cut off by the network,
ends nothing. asyncpg has a limit of its own for that.
"""

import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

__all__ = ["connecting_within"]


def connecting_within(seconds: float) -> Callable[..., Awaitable[Any]]:
    """Return what connects; each answer has to come within `seconds` then."""
    # psycopg is one of two drivers: only who uses it has it.
    psycopg: Any = import_module("psycopg")

    class Bounded(psycopg.AsyncConnection):  # type: ignore[misc]
        """A connection that does not wait for ever; it is closed where it gives up."""

        async def wait(self, *args: Any, **options: Any) -> Any:
            theirs: Any = super()
            if "timeout" in options:  # it waits for notices, and has a time of its own
                return await theirs.wait(*args, **options)
            async with asyncio.timeout(seconds):
                return await theirs.wait(*args, **options)

    connect: Callable[..., Awaitable[Any]] = Bounded.connect
    return connect

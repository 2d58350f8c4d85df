"""Ready-made checks for `Health.add`: free disk space, and a reachable server."""

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

__all__ = ["disk_space", "reachable"]

_PORTS: Final = {
    "amqp": 5672,
    "amqps": 5671,
    "http": 80,
    "https": 443,
    "redis": 6379,
    "rediss": 6379,
    "smtp": 25,
    "smtps": 465,
}


def disk_space(
    directory: str | os.PathLike[str], *, fail_below: int, warn_below: int = 0
) -> Callable[[], Awaitable[str | None]]:
    """Return a check of the free bytes on the disk of `directory`.

    health.add("disk", disk_space("var", fail_below=256 * MiB, warn_below=2 * GiB))
    """

    async def check() -> str | None:
        # In a thread: a network file system that is away does not answer.
        free = (await asyncio.to_thread(shutil.disk_usage, directory)).free
        if free < fail_below:
            raise OSError(f"only {free} bytes are free")
        return f"only {free} bytes are free" if free < warn_below else None

    return check


def reachable(url: str) -> Callable[[], Awaitable[None]]:
    """Return a check that a server accepts connections, such as a broker.

        health.add("broker", reachable("amqp://broker"), critical=False)

    The check needs no password, and says nothing about what the server does afterwards.

    Raises:
        ValueError: The URL has no host, or no port and a scheme whose port is not known.
    """
    parts = urlsplit(url)
    port = parts.port or _PORTS.get(parts.scheme)
    if parts.hostname is None or port is None:
        raise ValueError("reachable takes a URL with a host and a port: amqp://broker:5672")
    host = parts.hostname

    async def check() -> None:
        _, writer = await asyncio.open_connection(host, port)
        writer.transport.abort()

    return check

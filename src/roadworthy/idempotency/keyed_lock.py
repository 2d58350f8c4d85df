"""`KeyedLock`: repeats wait for the first request, in this process and in others."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from roadworthy.idempotency.errors import IdempotencyInProgress

__all__ = ["KeyedLock", "lock"]


class KeyedLock:
    """A lock for each key: requests with the same key run one by one in this process."""

    def __init__(self) -> None:
        # Each event loop has its own locks, which do not work across loops.
        self._locks: WeakValueDictionary[tuple[int, str], asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def take(self, key_id: str, *, until: float) -> AsyncGenerator[None]:
        """Hold the lock of a key; wait for it at most until this time of the event loop.

        Raises:
            IdempotencyInProgress: 409. The lock was not free in time.
        """
        name = (id(asyncio.get_running_loop()), key_id)
        turn = self._locks.setdefault(name, asyncio.Lock())
        try:
            async with asyncio.timeout_at(until):
                await turn.acquire()
        except TimeoutError:
            raise IdempotencyInProgress from None
        try:
            yield
        finally:
            turn.release()


async def lock(connection: AsyncConnection, key_id: str, *, until: float) -> None:
    """Lock a key in the database until the transaction ends.

    PostgreSQL frees the lock with the transaction, however that ends, and with the connection if
    the process is killed. The lock is tried again and again, because a wait that times out would
    fail the transaction. SQLite has one writer at a time, so there the transaction is the lock.

    Raises:
        IdempotencyInProgress: 409. The lock was not free in time.
    """
    if connection.dialect.name != "postgresql":
        return
    number = int.from_bytes(bytes.fromhex(key_id)[:8], signed=True)
    attempt = sa.select(sa.func.pg_try_advisory_xact_lock(sa.literal(number, sa.BigInteger)))
    pause = _FIRST_PAUSE_SECONDS
    while not await connection.scalar(attempt):
        if asyncio.get_running_loop().time() >= until:
            raise IdempotencyInProgress
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


_FIRST_PAUSE_SECONDS = 0.005
_LONGEST_PAUSE_SECONDS = 0.1

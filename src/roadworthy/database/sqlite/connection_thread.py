"""`ConnectionThread`: one SQLite connection and the thread that alone may use it.

A job is everything that must happen between two looks at the event loop. SQLite
answers in microseconds and crossing threads costs more than that, so jobs are
made as large as they can be: begin, execute and fetch are one.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

__all__ = ["ConnectionThread"]

P = ParamSpec("P")
T = TypeVar("T")

_Job: TypeAlias = Callable[[], Any]
_Answer: TypeAlias = "asyncio.Future[Any]"


class ConnectionThread:
    """Run jobs on one SQLite connection, in the order they came, off the event loop."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._jobs: SimpleQueue[tuple[_Answer, _Job] | None] = SimpleQueue()
        self._closed = False

    async def open(self) -> None:
        """Start the thread and connect.

        Raises:
            sqlite3.OperationalError: The file cannot be opened.
        """
        Thread(target=_work, args=(self._jobs,), name="roadworthy-sqlite", daemon=True).start()
        try:
            self._connection = await self._do(self._connect)
        except BaseException:
            self.stop()
            raise

    async def run(
        self,
        job: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run `job(connection, ...)` to its end, whatever becomes of the caller."""
        connection = self._open_connection()
        return await self._do(lambda: job(connection, *args, **kwargs))

    async def run_within(self, seconds: float | None, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run `job`, but interrupt it after `seconds`, or when the caller is cancelled.

        Raises:
            sqlite3.OperationalError: "interrupted".
        """
        connection = self._open_connection()
        loop = asyncio.get_running_loop()
        timer = loop.call_later(seconds, connection.interrupt) if seconds is not None else None
        abandoned = False

        def unless_abandoned() -> T:
            if abandoned:
                raise sqlite3.OperationalError("interrupted")
            return job(connection)

        try:
            return await self._do(unless_abandoned)
        except asyncio.CancelledError:
            # Whether the job has started or not: it need not be finished.
            abandoned = True
            connection.interrupt()
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def stop(self) -> None:
        """Close the connection and end the thread, after the jobs that wait. Never blocks."""
        if self._closed:
            return
        self._closed = True
        connection = self._connection
        if connection is not None:
            connection.interrupt()
            self._jobs.put((_nobody(), connection.close))
        self._jobs.put(None)

    async def close(self) -> None:
        """Close the connection and end the thread, after the jobs that wait."""
        if self._closed:
            return
        self._closed = True
        if self._connection is not None:
            await self._do(self._connection.close)
        self._jobs.put(None)

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None or self._closed:
            raise sqlite3.OperationalError("Connection closed")
        return self._connection

    async def _do(self, job: Callable[[], T]) -> T:
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put((answer, job))
        return await answer


def _work(jobs: "SimpleQueue[tuple[_Answer, _Job] | None]") -> None:
    while (item := jobs.get()) is not None:
        answer, job = item
        try:
            result, error = job(), None
        except BaseException as caught:
            # Whatever it is, it belongs to whoever waits.
            result, error = None, caught
        _tell(answer, result, error)
        # Hold nothing of a finished job while waiting for the next one.
        del item, answer, job, result, error


def _tell(answer: _Answer, result: Any, error: BaseException | None) -> None:
    try:
        answer.get_loop().call_soon_threadsafe(_settle, answer, result, error)
    except RuntimeError:
        # The loop is closed: nobody waits any more.
        return


def _settle(answer: _Answer, result: Any, error: BaseException | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(result)
    else:
        answer.set_exception(error)


def _nobody() -> _Answer:
    try:
        return asyncio.get_running_loop().create_future()
    except RuntimeError:
        return asyncio.new_event_loop().create_future()

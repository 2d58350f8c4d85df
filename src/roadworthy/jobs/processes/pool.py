"""`Processes`: worker processes, in which CPU work disturbs nobody."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar, cast

from roadworthy.jobs.processes.child import may_start_processes, report
from roadworthy.jobs.processes.process import (
    Boot,
    CallResult,
    ChildTraceback,
    FailedInProcess,
    Process,
    ProcessCall,
    ProcessDied,
    ProcessesClosed,
    TookTooLong,
    closed,
)
from roadworthy.jobs.processes.wire import CallSettings, CannotPickle, portable

__all__ = [
    "CannotPickle",
    "ChildTraceback",
    "FailedInProcess",
    "ProcessDied",
    "Processes",
    "ProcessesClosed",
    "TookTooLong",
    "report",
]

R = TypeVar("R")


class Processes:
    """Run functions in worker processes, each with a time and a memory limit.

        processes = Processes(2)
        pdf = await processes.run(partial(render, order_id), timeout=timedelta(seconds=30))
        await processes.close()

    At most `size` run at a time, and others wait. A process starts when it is first
    needed, calls `setup` (to configure logging, say), serves one call after the other and
    ends after `idle` without one. `niceness` lets the event loop go first (POSIX).

    Functions, arguments and results travel by pickle, so a function is found by its name,
    and `__main__` is imported under another one, as `multiprocessing` does with "spawn".
    Standard output and error are those of the parent. SIGINT and SIGTERM do nothing in
    the processes: the parent decides. When it dies, they die; on systems other than Linux
    a function in C that never lets go of the interpreter's lock ends first.
    All calls come from one event loop.
    """

    def __init__(
        self,
        size: int,
        *,
        setup: Callable[[], object] | None = None,
        niceness: int = 5,
        idle: timedelta = timedelta(minutes=5),
    ) -> None:
        if size < 1:
            raise ValueError(f"size is {size}: it takes one process at least.")
        self._slots = asyncio.Semaphore(size)
        self._boot = Boot(portable(setup) if setup else None, niceness)
        self._idle_seconds = idle.total_seconds()
        self._all: set[Process] = set()
        self._idle: dict[Process, asyncio.TimerHandle] = {}
        self._closed = False

    async def run(
        self,
        call: Callable[[], R],
        *,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - ends the process, not the waiting
        max_memory: int | None = None,
        on_progress: Callable[[float, str], object] | None = None,
        request_id: str | None = None,
    ) -> R:
        """Run a function, or `partial(function, *args, **kwargs)`, and return its result.

        `timeout` counts from when the function is called. `max_memory` is in bytes, on top
        of what the process has when it is called; it counts what the process can write
        and does not share, and is enforced on Linux only (RLIMIT_DATA). `on_progress` is
        called on the event loop with what the function reports with `report`. Log lines
        of the function carry `request_id`.

        Cancelling kills the process, and what the function started in its process group.

        Raises:
            Exception: What the function raised, with its traceback as `__cause__`.
            TookTooLong: It was killed after `timeout`.
            MemoryError: It needed more than `max_memory`.
            ProcessDied: The process crashed or was killed; the next call gets another one.
            CannotPickle: The function, an argument or the result cannot be pickled.
            FailedInProcess: What it raised cannot be pickled, or is SystemExit and the like.
            ProcessesClosed: `close` was called.
        """
        may_start_processes()
        settings = CallSettings(request_id, max_memory)
        asked = ProcessCall(portable(call), settings, timeout, on_progress)
        async with self._slots:
            result = await self._attempt(asked)
            if result.lost and not asked.started:
                # The process died while it had nothing to do: nothing ran, so try another.
                result = await self._attempt(asked)
        if result.error is not None:
            raise result.error from result.cause
        return cast("R", result.value)

    async def close(self) -> None:
        """Kill what runs, and wait for the end of all processes."""
        self._closed = True
        processes = list(self._all)
        for process in processes:
            if process not in self._idle:
                process.kill(closed())
            process.finish()
        while self._idle:
            self._idle.popitem()[1].cancel()
        for process in processes:
            await asyncio.shield(process.ended)

    async def _attempt(self, call: ProcessCall) -> CallResult:
        if self._closed:
            raise closed()
        process = self._take()
        try:
            return await process.perform(call)
        finally:
            self._give_back(process)

    def _take(self) -> "Process":
        if self._idle:
            process, timer = self._idle.popitem()  # the last one used, so that others can end
            timer.cancel()
            return process
        process = Process(self._boot, self._all.discard)
        self._all.add(process)
        return process

    def _give_back(self, process: "Process") -> None:
        if process.spent or self._closed:
            process.finish()
        else:
            loop = asyncio.get_running_loop()
            self._idle[process] = loop.call_later(self._idle_seconds, self._retire, process)

    def _retire(self, process: "Process") -> None:
        self._idle.pop(process).cancel()
        process.finish()

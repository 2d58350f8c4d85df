"""`run_worker`: a process that does nothing but run jobs."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

__all__ = ["run_worker"]


async def run_worker(
    *parts: AbstractAsyncContextManager[object], on_ready: Callable[[], object] | None = None
) -> int:
    """Open `parts` from left to right, and keep them open until SIGTERM or SIGINT.

        sys.exit(asyncio.run(run_worker(db, mailer, Jobs(db, tasks=[...], parts=[mailer]))))

    Then they are closed from right to left: jobs that run end, or are given back. A
    second signal ends the process at once; the leases of its jobs then end in their time.
    Returns 0, the exit code. `on_ready` is called once everything is open.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        for part in parts:
            await stack.enter_async_context(part)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _begin_to_stop, stop, number)
        if on_ready is not None:
            on_ready()
        await stop.wait()
    return 0


def _begin_to_stop(stop: asyncio.Event, number: signal.Signals) -> None:
    # The next signal does what it always does.
    asyncio.get_running_loop().remove_signal_handler(number)
    stop.set()

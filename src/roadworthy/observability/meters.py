"""`Meters`: the source of `/metrics`, for all workers of a server."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

from roadworthy._internal.workers import Workers
from roadworthy.observability.metric_families import Snapshot
from roadworthy.observability.prometheus import PrometheusReader, render
from roadworthy.observability.worker_meters import WorkerMeters

__all__ = ["Meters"]

_log = logging.getLogger("roadworthy.observability")


class Meters:
    """Read one provider's meters; several applications of a process may share it."""

    def __init__(self, name: str) -> None:
        self.reader = PrometheusReader()
        self._name = name
        self._opened = 0
        self._workers: WorkerMeters | None = None
        self._thread: ThreadPoolExecutor | None = None

    def text(self, *, open_metrics: bool) -> str:
        """Return the meters of this process."""
        return render(self.reader.snapshot(), open_metrics=open_metrics)

    async def text_of_all(self, *, open_metrics: bool) -> str:
        """Return the meters of all workers of this server.

        Raises:
            OSError: A worker that hangs keeps the others from reading (`TimeoutError`),
                or the folder for temporary files is full or gone.
        """
        return render(await self.snapshot_of_all(), open_metrics=open_metrics)

    async def snapshot_of_all(self) -> Snapshot:
        """Return the same as values.

        Raises:
            OSError: As for `text_of_all`.
        """
        if self._workers is None or self._thread is None:
            # On the event loop: when all threads are taken is when this must answer.
            return self.reader.snapshot()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._workers.gather)

    async def open(self) -> None:
        """Find the other workers, where the server has several."""
        self._opened += 1
        if self._opened > 1:
            return
        try:
            workers = Workers.of_this_process(self._name)
            if workers is not None:
                await self._open(WorkerMeters(workers, self.reader.snapshot))
        except OSError as error:
            _log.warning("/metrics tells of one worker at a time: %s", error)

    async def _open(self, workers: WorkerMeters) -> None:
        # A thread of its own: when all others are taken is when this must answer.
        thread = ThreadPoolExecutor(1, thread_name_prefix="roadworthy-metrics")
        try:
            await asyncio.get_running_loop().run_in_executor(thread, workers.open)
        except OSError:
            thread.shutdown()
            raise
        self._thread, self._workers = thread, workers

    async def close(self) -> None:
        """Leave what was counted to the other workers."""
        self._opened -= 1
        if self._opened or self._workers is None or self._thread is None:
            return
        workers, thread = self._workers, self._thread
        self._workers = self._thread = None
        try:
            await asyncio.get_running_loop().run_in_executor(thread, workers.close)
        except OSError as error:
            _log.warning("what this worker counted was not left to the others: %s", error)
        finally:
            thread.shutdown()

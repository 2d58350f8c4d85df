"""RQ's workers, each of which forks a process for every job of its own."""

import multiprocessing
import os
import time

import redis
import rq

from _jobs.peers import relayed
from roadworthy.jobs.engines.rq import RqEngine


class Host:
    """A queue of RQ for the plain task, and the engine beside it."""

    def __init__(self, broker: str, name: str) -> None:
        self.broker, self.name = broker, name
        self.queue = rq.Queue(name, connection=redis.Redis.from_url(broker))
        self.engine = RqEngine(broker, prefix=f"{name}.")

    def delay(self, n: int) -> None:
        """Enqueue the plain task; nothing is kept of its result."""
        self.queue.enqueue(relayed.note, n, result_ttl=0)

    def work(self, url: str) -> None:
        """Be the workers."""
        fork = multiprocessing.get_context("fork")  # as RQ's own workers do
        workers = [fork.Process(target=self._work, args=(url,)) for _ in range(relayed.PROCESSES)]
        for worker in workers:
            worker.start()
        while len(self._ours()) < relayed.PROCESSES:
            time.sleep(0.01)
        os.write(1, b"ready\n")
        for worker in workers:
            worker.join()

    def _work(self, url: str) -> None:
        worker = self.engine.register(relayed.parts_on(url, self.engine))
        queues = [self.name, f"{self.name}.default"]
        worker(queues, connection=redis.Redis.from_url(self.broker)).work(logging_level="CRITICAL")

    def _ours(self) -> list[rq.Worker]:
        workers = rq.Worker.all(connection=self.queue.connection)
        return [worker for worker in workers if self.name in worker.queue_names()]

    def clean(self) -> None:
        """Sign off the workers that were killed, and remove their queue."""
        for worker in self._ours():
            worker.register_death()
        self.queue.delete(delete_jobs=True)

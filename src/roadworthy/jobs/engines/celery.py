"""`CeleryEngine`: run jobs in Celery's workers, over its broker.

    celery_app = Celery("shop", broker="amqp://localhost")
    engine = CeleryEngine(celery_app)

    def parts() -> tuple[Database, Jobs]:
        db = Database("postgresql://localhost/shop")
        return db, Jobs(db, tasks=[send_confirmation], engine=engine)

    engine.register(parts)
    app = FastAPI(lifespan=lifespan(*parts()))

`celery -A shop worker` then runs the jobs, in processes that each open `parts()`. What
opens them elsewhere, such as the server here, rings: it tells the broker that there are
jobs, and no more. The rows stay the truth: a broker that loses everything loses no job.
"""

# Celery has no types.
# pyright: reportMissingTypeStubs=false

try:
    from celery import signals as celery_signals  # type: ignore[import-untyped]
    from celery.exceptions import Reject  # type: ignore[import-untyped]
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        "roadworthy.jobs.engines.celery needs Celery: pip install 'roadworthy[celery]'"
    ) from missing

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from roadworthy.jobs.doorbells import Doorbell
from roadworthy.jobs.engines._celery_broker import RUN, CeleryBroker
from roadworthy.jobs.engines._celery_task import celery_task
from roadworthy.jobs.hearing import Hearing
from roadworthy.jobs.hosted import Hosted, NotOpen, Parts
from roadworthy.jobs.loop import Limits
from roadworthy.jobs.relay import BrokerAway, Relay, Ringing
from roadworthy.jobs.task import RunsOn
from roadworthy.jobs.work import Work

if TYPE_CHECKING:  # importing it would import all of Celery
    from celery import Celery

__all__ = ["CeleryEngine", "celery_task"]

_PATIENCE: Final = timedelta(seconds=1)
"""How long a doorbell waits for a place before another process may have it."""
_PAUSE: Final = 1.0
"""Seconds before a worker process that could not open its parts hears the next doorbell."""
_BATCH: Final = 25

_signals: Any = celery_signals
_log = logging.getLogger("roadworthy.jobs")


class CeleryEngine:
    """Run jobs in the workers of a Celery application, and ring for them elsewhere.

    Each worker process runs `concurrency` coroutines, `threads` and `processes` at a time,
    whatever Celery's own concurrency is, which says how many worker processes there are.
    The other limits are those of `Embedded`, for each process. Jobs of the queue `mails`
    are rung for in Celery's queue `roadworthy.mails`, with another `prefix` in another.
    A relay looks at the table every `poll`. A doorbell that nobody has heard `again`
    after it was sent is sent once more.

    Celery's own time limits, retries and results are not used: a task has terms for them.
    """

    def __init__(
        self,
        app: "Celery",
        *,
        prefix: str = "roadworthy.",
        concurrency: int = 50,
        threads: int = 8,
        processes: int = 1,
        transactions: int = 5,
        queue_limits: Mapping[str, int] | None = None,
        lease: timedelta = timedelta(seconds=15),
        poll: timedelta = timedelta(seconds=0.25),
        again: timedelta = timedelta(seconds=10),
        grace: timedelta = timedelta(seconds=10),
        process_setup: Callable[[], object] | None = None,
    ) -> None:
        if min(concurrency, threads, processes, transactions, *(queue_limits or {}).values()) < 1:
            raise ValueError("concurrency, threads, processes, transactions, limits: 1 at least.")
        if lease < timedelta(seconds=1):
            raise ValueError("A lease is a second or more: heartbeats have to come in time.")
        self._app: Any = app
        self._prefix = prefix
        places: dict[RunsOn, int] = {"loop": concurrency, "thread": threads, "cpu": processes}
        self._limits = Limits(
            at_a_time=places,
            transactions=transactions,
            queues=None,
            queue_limits=dict(queue_limits or {}),
            lease=lease,
            poll=poll,
            grace=grace,
            process_setup=process_setup,
        )
        self._ringing = Ringing(
            # Short jobs only: one message is worked off by one process.
            batches={"loop": _BATCH, "thread": max(1, threads // 2), "cpu": 1},
            lease=lease,
            again=again,
            poll=poll,
        )
        self._relay: Relay | None = None
        self._hearing: Hearing | None = None
        self._hosts: _Hosts | None = None

    def register(self, parts: Parts, *, queues: Iterable[str] = ("default",)) -> None:
        """Have the workers of the Celery application run the jobs of `parts()`.

        Call it where they import it: beside the application. Each worker process calls
        `parts` and opens what it returns, from left to right; a `Jobs` with this engine is
        among that. A worker that is started without `-Q` serves these `queues` of jobs
        besides its own.
        """
        if self._hosts is not None:
            raise RuntimeError("This engine is registered already. Make one for each application.")
        self._hosts = _Hosts(parts)
        self._app.task(
            self._hear,
            name=RUN,
            acks_late=True,
            reject_on_worker_lost=True,
            ignore_result=True,
            time_limit=None,
            soft_time_limit=None,
        )
        self._serve([self._prefix + queue for queue in queues])
        _signals.worker_process_init.connect(self._hosts.begin, weak=False)
        _signals.worker_process_shutdown.connect(self._hosts.end, weak=False)
        _signals.worker_shutdown.connect(self._hosts.end, weak=False)

    def _serve(self, names: list[str]) -> None:
        """Have workers that were told no queues serve ours, too."""
        told: set[Any] = set()

        def note(instance: Any, options: Mapping[str, Any], **_: object) -> None:
            if options.get("queues"):
                told.add(instance)

        def add(instance: Any, **_: object) -> None:
            if instance.app is self._app and instance not in told:
                for name in names:
                    self._app.amqp.queues.select_add(name)

        _signals.celeryd_init.connect(note, weak=False)
        _signals.celeryd_after_setup.connect(add, weak=False)

    async def start(self, work: Work) -> None:
        """Begin to hear doorbells in a worker process, and to ring them elsewhere."""
        if self._relay is not None or self._hearing is not None:
            raise RuntimeError("This CeleryEngine runs already. Make one for each Jobs.")
        if self._hosts is not None and self._hosts.here:
            self._hearing = Hearing(work, self._limits)
            await self._hearing.start()
        else:
            self._relay = Relay(work, CeleryBroker(self._app, self._prefix), self._ringing)
            await self._relay.start()

    async def stop(self) -> None:
        """Ring no more, or run no more: what does not end within the grace is given back."""
        relay, self._relay = self._relay, None
        hearing, self._hearing = self._hearing, None
        if relay is not None:
            await relay.stop()
        if hearing is not None:
            await hearing.stop()

    def wake(self) -> None:
        """Ring for what has been enqueued."""
        if self._relay is not None:
            self._relay.wake()

    def recheck(self) -> None:
        """Look now whether a running job was cancelled."""
        if self._hearing is not None:
            self._hearing.recheck()

    @property
    def has_room(self) -> bool:
        """Whether this process rings: then no other need hear of its jobs."""
        return self._relay is not None

    async def ping(self) -> None:
        """Ask the broker whether it is there, for a health check.

        Raises:
            BrokerAway: It is not; jobs are kept meanwhile.
        """
        if self._relay is None:
            raise BrokerAway("Nothing rings here: no Jobs with this engine is open.")
        await self._relay.ping()

    def _hear(self, queue: str, runs_on: RunsOn, jobs: int) -> None:
        """Be the Celery task: return when the jobs are claimed, and their rows keep them."""
        if self._hosts is None:
            raise Reject("No parts are registered.", requeue=True)
        bell = Doorbell(queue, runs_on, jobs)
        try:
            answered = self._hosts.here_or_begun().call(lambda: self._claim(bell))
        except NotOpen as error:
            _log.error("This worker process cannot run jobs", exc_info=error.__cause__)
            self._hosts.forget()
            time.sleep(_PAUSE)
            raise Reject(str(error), requeue=True) from error
        if not answered:
            raise Reject("There is no place for another job here.", requeue=True)

    async def _claim(self, bell: Doorbell) -> bool:
        if self._hearing is None:
            return False  # it is about to stop
        return await self._hearing.hear(bell, patience=_PATIENCE)


class _Hosts:
    """The parts of this process: none in a worker's parent, which forks."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._lock = threading.Lock()
        self._host: Hosted | None = None
        self._of = 0

    @property
    def here(self) -> bool:
        """Whether this is a worker process that has begun to open its parts."""
        return self._host is not None and self._of == os.getpid()

    def here_or_begun(self) -> Hosted:
        """Return what is open here, or is being opened."""
        with self._lock:
            if self._host is None or self._of != os.getpid():
                self._host, self._of = Hosted(self._parts), os.getpid()
                self._host.start()
            return self._host

    def begin(self, **_: object) -> None:
        """Begin to open them: Celery kills a process that takes long to start."""
        self.here_or_begun()

    def forget(self) -> None:
        """Open them anew with the next doorbell."""
        with self._lock:
            self._host = None

    def end(self, **_: object) -> None:
        """Close them, if they are this process's."""
        if self._host is not None and self.here:
            self._host.close()
            self._host = None

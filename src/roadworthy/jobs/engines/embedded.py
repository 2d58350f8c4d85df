"""`Embedded`: run jobs in this process, with the table and without a broker."""

from typing import Unpack

from roadworthy._internal.keywords import defaults_of, refuse_unknown, shows_keywords
from roadworthy.jobs.table.ledger import Ledger, worker_name
from roadworthy.jobs.worker.context import JobsContext
from roadworthy.jobs.worker.housekeeping import Housekeeping
from roadworthy.jobs.worker.loop import Loop
from roadworthy.jobs.worker.options import EmbeddedLimits, EmbeddedOptions
from roadworthy.jobs.worker.table_source import TableSource

__all__ = ["Embedded", "NoHeartbeat"]


class NoHeartbeat(RuntimeError):
    """The heartbeat of an engine does not reach the table of jobs."""


class Embedded:
    """Run jobs in the process that the engine is started in.

        Embedded(concurrency=100, queues=["default", "mails"], lease=timedelta(seconds=30))

    The keywords are those of `EmbeddedOptions`.

    Raises:
        TypeError: There is no such option, or its value is of another type.
        ValueError: An option is out of its range.
    """

    @shows_keywords(defaults_of(EmbeddedLimits))
    def __init__(self, **options: Unpack[EmbeddedOptions]) -> None:
        refuse_unknown("Embedded", options, defaults_of(EmbeddedLimits))
        self._limits = EmbeddedLimits(**options)
        self._loop: Loop | None = None

    async def start(self, work: JobsContext) -> None:
        """Begin to run jobs.

        Raises:
            RuntimeError: The engine runs already.
        """
        if self._loop is not None:
            raise RuntimeError("This Embedded runs already. Make one for each Jobs.")
        self._loop = _loop(work, self._limits)
        await self._loop.start()

    async def stop(self) -> None:
        """Claim no more jobs; give back those that do not end within the grace."""
        loop, self._loop = self._loop, None
        if loop is not None:
            await loop.stop()

    async def beats(self) -> None:
        """Check that the heartbeat reaches the table; `Jobs.ping` calls this.

        Raises:
            NoHeartbeat: It has not for the time of a lease, so others may run the jobs of here.
        """
        if self._loop is None:
            raise NoHeartbeat("No jobs are run here: no Jobs with this engine is open.")
        if self._loop.silence > self._limits.lease:
            seconds = self._loop.silence.total_seconds()
            raise NoHeartbeat(f"The heartbeat has not reached the table for {seconds:.0f} s.")

    def wake(self) -> None:
        """Look for jobs now."""
        if self._loop is not None:
            self._loop.wake()

    def recheck(self) -> None:
        """Check now whether a running job was cancelled."""
        if self._loop is not None:
            self._loop.recheck()

    @property
    def has_room(self) -> bool:
        """Whether another job of any tier would run at once."""
        return self._loop is not None and self._loop.has_room


def _loop(work: JobsContext, limits: EmbeddedLimits) -> Loop:
    """Return a loop that claims jobs of the table, and looks after the table."""
    ledger = Ledger(worker=worker_name(), lease=limits.lease, clock=work.clock)
    housekeeping = Housekeeping(work, ledger)
    source = TableSource(work, limits, ledger, lambda: housekeeping.queues)
    return Loop(work, limits, ledger, source, housekeeping)

"""`Engine`: the part that carries jobs from their rows to the code that runs them.

The row is the truth. An engine decides when to look for jobs and where they run. How a job is
claimed, run and recorded is the same for every engine, in `Ledger` and `Runner`. An engine of your
own implements this protocol and passes `roadworthy.testing.contract.EngineContract`. For a message
broker, such as NATS, write only a `Broker`: see `roadworthy.jobs.broker`.
"""

from typing import Protocol

from roadworthy.jobs.worker.context import JobsContext

__all__ = ["Engine"]


class Engine(Protocol):
    """The protocol of engines, for `Jobs(engine=...)`."""

    async def start(self, work: JobsContext) -> None:
        """Begin to run jobs; return once the engine looks for them."""
        ...

    async def stop(self) -> None:
        """Claim no more jobs, and end or give back the running ones within the grace."""
        ...

    def wake(self) -> None:
        """Look for jobs to run. Called on the event loop after a commit with jobs."""
        ...

    def recheck(self) -> None:
        """Check whether a running job was cancelled. Called on the event loop."""
        ...

    @property
    def has_room(self) -> bool:
        """Whether another job would run at once; if not, other processes are notified."""
        ...

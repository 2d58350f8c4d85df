"""`Engine`: the part that carries jobs from their rows to the code that runs them.

The row is the truth. An engine decides when to look for jobs and where they run; how
a job is claimed, run and recorded is in `Ledger` and `Runner`, whatever the engine.
To write one, implement this, and pass `roadworthy.testing.contract.EngineContract`.
"""

from typing import Protocol

from roadworthy.jobs.worker.context import JobsContext

__all__ = ["Engine"]


class Engine(Protocol):
    """The protocol of engines: what `Jobs(engine=...)` takes."""

    async def start(self, work: JobsContext) -> None:
        """Begin to run jobs; return once the engine looks for them."""
        ...

    async def stop(self) -> None:
        """Claim no more; let running jobs end, or give them back. Return within the grace."""
        ...

    def wake(self) -> None:
        """Look for jobs to run. Called on the event loop after a commit with jobs."""
        ...

    def recheck(self) -> None:
        """Look whether a running job was cancelled. Called on the event loop."""
        ...

    @property
    def has_room(self) -> bool:
        """Whether another job would run at once here: if not, other processes are told of it."""
        ...

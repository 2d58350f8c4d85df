"""`Engine`: what carries jobs from their rows to the code that runs them.

The row is the truth. An engine decides when to look for jobs and where they run; how
a job is claimed, run and recorded is in `Ledger` and `Runner`, whatever the engine.
To write one, implement this, and pass `roadworthy.testing.contract.EngineContract`.
"""

from typing import Protocol

from roadworthy.jobs.worker.context import JobsContext

__all__ = ["Engine"]


class Engine(Protocol):
    """What `Jobs(engine=...)` takes."""

    async def start(self, work: JobsContext) -> None:
        """Begin to run jobs; return when it is under way."""
        ...

    async def stop(self) -> None:
        """Claim no more; let what runs end, or give it back. Returns within the grace."""
        ...

    def wake(self) -> None:
        """Hear that there may be jobs to run. Called on the event loop."""
        ...

    def recheck(self) -> None:
        """Hear that a running job may have been cancelled. Called on the event loop."""
        ...

    @property
    def has_room(self) -> bool:
        """Whether it would run another job at once: if not, other processes are told."""
        ...

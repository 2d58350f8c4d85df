"""`Doorbell`: what a message broker carries.

A doorbell says that there are jobs, not which. The worker that receives it claims the next jobs,
in the order that the rows have by then. A lost doorbell costs time and no job; a late or
duplicate one finds nothing to claim.
"""

from dataclasses import dataclass

from roadworthy.jobs.task_options import RunsOn

__all__ = ["Doorbell"]


@dataclass(frozen=True, slots=True)
class Doorbell:
    """The news that so many jobs of a queue wait for a slot of a tier."""

    queue: str
    runs_on: RunsOn
    jobs: int

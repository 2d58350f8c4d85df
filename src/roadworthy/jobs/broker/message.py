"""`Doorbell`: what a message broker carries.

A doorbell says that there are jobs, not which: whoever hears it claims the next ones, in the
order that their rows have by then. A lost one costs time and no job, a late or doubled one
finds nothing.
"""

from dataclasses import dataclass

from roadworthy.jobs.task_options import RunsOn

__all__ = ["Doorbell"]


@dataclass(frozen=True, slots=True)
class Doorbell:
    """The news that so many jobs of a queue wait for a place on a tier."""

    queue: str
    runs_on: RunsOn
    jobs: int

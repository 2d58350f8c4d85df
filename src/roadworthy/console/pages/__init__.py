"""The pages of the console, in the order of its menu."""

from typing import Final

from roadworthy.console.page import Page
from roadworthy.console.pages import (
    checks,
    dead,
    events,
    jobs,
    now,
    problems,
    queues,
    schedules,
    uploads,
    workers,
    writes,
)

__all__ = ["PAGES"]

PAGES: Final[tuple[Page, ...]] = (
    *(now.PAGE, jobs.PAGE, dead.PAGE, schedules.PAGE, queues.PAGE, workers.PAGE),
    *(problems.PAGE, uploads.PAGE, writes.PAGE, events.PAGE, checks.PAGE),
)
"""Every page; one whose part the service does not have is in no menu."""

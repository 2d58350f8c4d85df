"""Run jobs in a process of their own: say so when it is ready, stop with exit code 0."""

import asyncio
import sys
from collections.abc import Sequence

from depot import parts
from depot.settings import Settings
from depot.stopping import Grace
from roadworthy.jobs import run_worker

__all__ = ["work"]


def work(settings: Settings, *, queues: Sequence[str] | None) -> int:
    """Run jobs until a signal says to stop, and return the exit code."""
    grace = Grace.of_worker(settings)
    db, files = parts.database(settings, grace), parts.files(settings)
    mailer = parts.mailer(settings)
    jobs = parts.jobs(db, files, mailer, grace, run=True, queues=queues)
    return asyncio.run(run_worker(db, files, mailer, jobs, on_ready=_announce))


def _announce() -> None:
    sys.stdout.write("Depot's worker is ready\n")
    sys.stdout.flush()

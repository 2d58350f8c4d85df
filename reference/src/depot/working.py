"""Run jobs in a process of their own: say so when it is ready, stop with exit code 0."""

import asyncio
from collections.abc import Sequence

from depot import parts, ready
from depot.broker_worker import BrokerWorker
from depot.settings import Settings
from depot.stopping import Grace
from roadworthy.database import Database
from roadworthy.jobs import Jobs, run_worker

__all__ = ["work"]


def work(settings: Settings, *, queues: Sequence[str] | None) -> int:
    """Run jobs until a signal says to stop, and return the exit code."""
    grace = Grace.of_worker(settings)
    db, files = parts.database(settings, grace), parts.files(settings)
    mailer = parts.mailer(settings)
    jobs = parts.jobs(db, files, mailer, parts.engine(settings, grace, queues=queues))
    if settings.jobs.engine != "embedded":
        return _work_with_broker(settings.jobs.engine, db, jobs, grace, queues)
    return asyncio.run(run_worker(db, files, mailer, jobs, on_ready=_announce))


def _work_with_broker(
    engine: str, db: Database, jobs: Jobs, grace: Grace, queues: Sequence[str] | None
) -> int:
    """Look after jobs here, and run them in processes that open what they need themselves."""
    worker = BrokerWorker(engine, grace, queues=queues)
    code = asyncio.run(run_worker(db, jobs, worker, on_ready=_announce))
    return 1 if worker.died else code


def _announce() -> None:
    ready.say("Depot's worker is ready")

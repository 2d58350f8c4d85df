"""A worker process of RQ, beside which Depot's jobs run.

`python -m depot.workers.rq_worker` is what `depot worker` starts and ends.
"""

import argparse
import logging.config
from collections.abc import Sequence
from typing import Any

from redis import Redis

from depot import logs, parts
from depot import settings as depot_settings
from depot.engines import rq
from depot.mail.mailer import Mailer
from depot.stopping import Grace
from depot.workers.child import announce, end_with_parent
from roadworthy.database import Database
from roadworthy.jobs import Jobs
from roadworthy.uploads import Files

__all__ = ["main"]


def main(queues: Sequence[str]) -> None:
    """Run the worker until a signal says to stop, or the parent process is gone."""
    settings = depot_settings.read()
    logging.config.dictConfig(logs.config(settings.log.format))
    grace = Grace.of_worker(settings)
    jobs_engine = rq.engine(settings, grace, queue_limits=parts.LIMITS)

    def opened() -> tuple[Database, Files, Mailer, Jobs]:
        db, files = parts.database(settings, grace), parts.files(settings)
        mailer = parts.mailer(settings)
        return db, files, mailer, parts.jobs(db, files, mailer, jobs_engine)

    worker = _announcing(jobs_engine.register(opened, queues=queues))
    served = [rq.PREFIX + queue for queue in queues]
    redis: Any = Redis  # its own types are vague
    connection = redis.from_url(str(settings.jobs.broker_url))
    worker(served, connection=connection).work(logging_level="WARNING")


def _announcing(registered: Any) -> Any:
    """Return a class of worker that announces itself, and ends with its parent process."""

    class Worker(registered):  # type: ignore[misc]  # made at run time
        def bootstrap(self, *args: Any, **options: Any) -> None:
            made: Any = super()
            made.bootstrap(*args, **options)
            end_with_parent()  # after the process beside it is forked: it takes no threads
            announce()

    return Worker


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("queues", nargs="+")
    main(parser.parse_args().queues)

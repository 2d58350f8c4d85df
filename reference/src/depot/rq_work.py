"""Jobs beside RQ's workers: the engine, and what a worker process runs.

`python -m depot.rq_work` is what `depot worker` starts and ends.
"""

import argparse
import logging.config
from collections.abc import Mapping, Sequence
from typing import Any, Final

from redis import Redis

from depot import logs, parts
from depot import settings as depot_settings
from depot.broker_worker import announce, end_with_parent
from depot.mail.mailer import Mailer
from depot.settings import Settings
from depot.stopping import Grace
from roadworthy.database import Database
from roadworthy.jobs import Jobs
from roadworthy.jobs.engines.rq import RqEngine
from roadworthy.uploads import Files

__all__ = ["engine"]

PREFIX: Final = "depot."


def engine(settings: Settings, grace: Grace, *, queue_limits: Mapping[str, int]) -> RqEngine:
    """Return the engine, for the server, for `depot worker` and for its processes."""
    url = str(settings.jobs.broker_url)
    return RqEngine(url, prefix=PREFIX, grace=grace.jobs, queue_limits=queue_limits)


def main(queues: Sequence[str]) -> None:
    """Be the worker, until a signal says to stop or whoever started it is gone."""
    settings = depot_settings.read()
    logging.config.dictConfig(logs.config(settings.log.format))
    grace = Grace.of_worker(settings)
    hearing = engine(settings, grace, queue_limits=parts.LIMITS)

    def opened() -> tuple[Database, Files, Mailer, Jobs]:
        db, files = parts.database(settings, grace), parts.files(settings)
        mailer = parts.mailer(settings)
        return db, files, mailer, parts.jobs(db, files, mailer, hearing)

    worker = _telling(hearing.register(opened, queues=queues))
    served = [PREFIX + queue for queue in queues]
    redis: Any = Redis  # its own types are vague
    connection = redis.from_url(str(settings.jobs.broker_url))
    worker(served, connection=connection).work(logging_level="WARNING")


def _telling(registered: Any) -> Any:
    """Return the class of worker that says when it hears, and ends with who started it."""

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

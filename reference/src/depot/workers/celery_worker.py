"""A worker process of Celery, which runs Depot's jobs.

`python -m depot.workers.celery_worker` is what `depot worker` starts and ends.
"""

import argparse
import logging.config
from collections.abc import Sequence
from secrets import token_hex
from typing import Any

# Celery has no types.
# pyright: reportMissingTypeStubs=false
from celery import signals as celery_signals  # type: ignore[import-untyped]

from depot import logs, parts
from depot import settings as depot_settings
from depot.engines import celery
from depot.mail.mailer import Mailer
from depot.stopping import Grace
from depot.workers.child import announce, end_with_parent
from roadworthy.database import Database
from roadworthy.jobs import Jobs
from roadworthy.uploads import Files

__all__ = ["main"]

_signals: Any = celery_signals


def main(queues: Sequence[str]) -> None:
    """Run the worker until a signal says to stop, or the parent process is gone."""
    settings = depot_settings.read()
    logging.config.dictConfig(logs.config(settings.log.format))
    grace = Grace.of_worker(settings)
    app = celery.app(settings)
    jobs_engine = celery.engine(app, grace, queue_limits=parts.LIMITS)

    def opened() -> tuple[Database, Files, Mailer, Jobs]:
        db, files = parts.database(settings, grace), parts.files(settings)
        mailer = parts.mailer(settings)
        return db, files, mailer, parts.jobs(db, files, mailer, jobs_engine)

    jobs_engine.register(opened)
    _signals.worker_ready.connect(announce, weak=False)
    end_with_parent()
    served = ",".join(celery.PREFIX + queue for queue in queues)
    options = ["--queues", served, "--hostname", _node_name(), "--loglevel", "WARNING"]
    app.worker_main(["--quiet", "worker", *options])


def _node_name() -> str:
    # RabbitMQ locks the queue that is named after it until it has noticed that its worker died.
    return f"depot-{token_hex(4)}@%h"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("queues", nargs="+")
    main(parser.parse_args().queues)

"""Jobs in Celery's workers: the application, its engine, and what a worker process runs.

`python -m depot.celery_work` is what `depot worker` starts and ends.
"""

import argparse
import logging.config
from collections.abc import Mapping, Sequence
from secrets import token_hex
from typing import Any, Final

# Celery has no types.
# pyright: reportMissingTypeStubs=false
from celery import Celery  # type: ignore[import-untyped]
from celery import signals as celery_signals

from depot import logs, parts
from depot import settings as depot_settings
from depot.broker_worker import announce, end_with_parent
from depot.mail.mailer import Mailer
from depot.settings import Settings
from depot.stopping import Grace
from roadworthy.database import Database
from roadworthy.jobs import Jobs
from roadworthy.jobs.engines.celery import CeleryEngine
from roadworthy.uploads import Files

__all__ = ["app", "engine"]

PREFIX: Final = "depot."

_signals: Any = celery_signals


def app(settings: Settings) -> Any:
    """Return the Celery application, of which only the broker is used."""
    made: Any = Celery("depot", broker=settings.jobs.broker_url, set_as_current=False)
    made.conf.update(
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
    )
    return made


def engine(app: Any, grace: Grace, *, queue_limits: Mapping[str, int]) -> CeleryEngine:
    """Return the engine, for the server, for `depot worker` and for its processes."""
    return CeleryEngine(app, prefix=PREFIX, grace=grace.jobs, queue_limits=queue_limits)


def main(queues: Sequence[str]) -> None:
    """Be the worker, until a signal says to stop or whoever started it is gone."""
    settings = depot_settings.read()
    logging.config.dictConfig(logs.config(settings.log.format))
    grace = Grace.of_worker(settings)
    made = app(settings)
    hearing = engine(made, grace, queue_limits=parts.LIMITS)

    def opened() -> tuple[Database, Files, Mailer, Jobs]:
        db, files = parts.database(settings, grace), parts.files(settings)
        mailer = parts.mailer(settings)
        return db, files, mailer, parts.jobs(db, files, mailer, hearing)

    hearing.register(opened)
    _signals.worker_ready.connect(announce, weak=False)
    end_with_parent()
    served = ",".join(PREFIX + queue for queue in queues)
    options = ["--queues", served, "--hostname", _node_name(), "--loglevel", "WARNING"]
    made.worker_main(["--quiet", "worker", *options])


def _node_name() -> str:
    # RabbitMQ locks the queue that is named after it until it has noticed that its worker died.
    return f"depot-{token_hex(4)}@%h"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("queues", nargs="+")
    main(parser.parse_args().queues)

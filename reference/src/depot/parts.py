"""The parts that Depot opens at its start, built from its settings."""

from collections.abc import Sequence
from typing import Final

from depot import __version__
from depot.documents.tasks import make_thumbnail, remove_files
from depot.mail import files as mail_files
from depot.mail.mailer import Mailer
from depot.mail.smtp import SENDER, Server, Smtp
from depot.orders.tasks import MAIL, make_invoice, send_confirmation
from depot.settings import Settings
from depot.stopping import Grace
from depot.users.tasks import record_action
from roadworthy.database import Database
from roadworthy.jobs import Embedded, Engine, Jobs
from roadworthy.uploads import Disk, Files
from roadworthy.uploads.store import Store

__all__ = ["LIMITS", "TASKS", "database", "engine", "files", "jobs", "mailer", "queues"]

TASKS: Final = (send_confirmation, make_invoice, record_action, make_thumbnail, remove_files)
"""Every task that runs in the background."""
LIMITS: Final = {MAIL: 10}
"""Jobs of one queue that run at once: a mail server that hangs leaves the rest to others."""


def database(settings: Settings, grace: Grace) -> Database:
    """Return the database; the data directory is made where its file is in there."""
    if settings.database.url is None:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    return Database(
        settings.database_url,
        drain=grace.database,
        replica=settings.database.replica_url,
        behind_pooler=settings.database.behind_pooler,
    )


def files(settings: Settings) -> Files:
    """Return the store of uploads: a directory, or an object store."""
    return Files(_store(settings))


def _store(settings: Settings) -> Store:
    if settings.bucket is None:
        return Disk(settings.files_dir)
    from roadworthy.uploads.stores.objects import Objects  # noqa: PLC0415 - slow, and few need it

    # An operator who writes http:// means it: a store on the same machine or network.
    return Objects(settings.bucket, allow_http=settings.endpoint.startswith("http://"))


def mailer(settings: Settings) -> Mailer:
    """Return the mailer: to the mail server, or into files where there is none."""
    if settings.mail.url is None:
        return Mailer(mail_files.Files(settings.mail_dir), sender=SENDER)
    server = Server.of(settings.mail.url)
    return Mailer(Smtp(server), sender=server.sender)


def engine(settings: Settings, grace: Grace, *, queues: Sequence[str] | None = None) -> Engine:
    """Return the engine that runs jobs of all queues or of some, or hands them to a broker."""
    if settings.jobs.engine == "celery":
        from depot.engines import celery  # noqa: PLC0415 - slow, and few need it

        return celery.engine(celery.app(settings), grace, queue_limits=LIMITS)
    if settings.jobs.engine == "rq":
        from depot.engines import rq  # noqa: PLC0415 - slow, and few need it

        return rq.engine(settings, grace, queue_limits=LIMITS)
    return Embedded(grace=grace.jobs, queues=queues, queue_limits=LIMITS)


def queues() -> list[str]:
    """Return the names of all queues."""
    return sorted({task.terms.queue for task in TASKS})


def jobs(db: Database, files: Files, mailer: Mailer, engine: Engine, *, run: bool = True) -> Jobs:
    """Return the jobs of Depot, which the engine runs."""
    return Jobs(db, tasks=TASKS, parts=[files, mailer], engine=engine, run=run, version=__version__)

"""What Depot opens when it starts, built from its settings."""

from collections.abc import Sequence
from typing import Final

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

__all__ = ["LIMITS", "TASKS", "database", "engine", "files", "jobs", "mailer"]

TASKS: Final = (send_confirmation, make_invoice, record_action, make_thumbnail, remove_files)
"""Everything that is done in the background."""
LIMITS: Final = {MAIL: 10}
"""A mail server that hangs takes these places, and leaves the others to other work."""


def database(settings: Settings, grace: Grace) -> Database:
    """Return the database; where it is a file of the data directory, make that first."""
    if settings.database.url is None:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    return Database(
        settings.database_url,
        drain=grace.database,
        replica=settings.database.replica_url,
        behind_pooler=settings.database.behind_pooler,
    )


def files(settings: Settings) -> Files:
    """Return what keeps uploads: in a directory, or in an object store."""
    return Files(_store(settings))


def _store(settings: Settings) -> Store:
    if settings.bucket is None:
        return Disk(settings.files_dir)
    from roadworthy.uploads.stores.objects import Objects  # noqa: PLC0415 - only who uses it waits

    # Who writes http:// into the endpoint means it: a store on the same machine or network.
    return Objects(settings.bucket, allow_http=settings.endpoint.startswith("http://"))


def mailer(settings: Settings) -> Mailer:
    """Return what sends mail: to the mail server, or into files where there is none."""
    if settings.mail.url is None:
        return Mailer(mail_files.Files(settings.mail_dir), sender=SENDER)
    server = Server.of(settings.mail.url)
    return Mailer(Smtp(server), sender=server.sender)


def engine(settings: Settings, grace: Grace, *, queues: Sequence[str] | None = None) -> Engine:
    """Return what runs jobs, all of them or those of some queues, or rings for workers."""
    if settings.jobs.engine == "celery":
        from depot import celery_work  # noqa: PLC0415 - only who uses it waits

        return celery_work.engine(celery_work.app(settings), grace, queue_limits=LIMITS)
    if settings.jobs.engine == "rq":
        from depot import rq_work  # noqa: PLC0415 - only who uses it waits

        return rq_work.engine(settings, grace, queue_limits=LIMITS)
    return Embedded(grace=grace.jobs, queues=queues, queue_limits=LIMITS)


def jobs(db: Database, files: Files, mailer: Mailer, engine: Engine, *, run: bool = True) -> Jobs:
    """Return what knows all jobs, and has the engine run them."""
    return Jobs(db, tasks=TASKS, parts=[files, mailer], engine=engine, run=run)

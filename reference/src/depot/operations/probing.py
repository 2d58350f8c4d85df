"""The health checks of Depot."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Final, Protocol, runtime_checkable

from depot import __version__, schema
from depot.settings import Settings
from roadworthy import jobs
from roadworthy.database import Database
from roadworthy.health import Health, disk_space, reachable
from roadworthy.jobs import Engine
from roadworthy.uploads import Files, MiB

__all__ = ["health"]

_OFTEN: Final = timedelta(seconds=2)
_SELDOM: Final = timedelta(seconds=15)
_LONG: Final = timedelta(minutes=1)
"""A job that is due should not wait longer."""
_STORE_SECONDS: Final = timedelta(seconds=5)
_BROKER_SECONDS: Final = timedelta(seconds=5)


@runtime_checkable
class _WithBroker(Protocol):
    """An engine that has somebody to ask."""

    async def ping(self) -> None: ...


def health(
    settings: Settings,
    db: Database,
    files: Files,
    engine: Engine,
    *,
    drain_seconds: float | None = None,
) -> Health:
    """Return the part that asks what Depot needs; without its database it is not ready."""
    token = settings.ops.token
    found = Health(
        version=__version__,
        drain=timedelta(seconds=settings.drain_seconds if drain_seconds is None else drain_seconds),
        token=token.get_secret_value() if token else None,
    )
    found.add("database", partial(db.ping, writes=True), interval=_OFTEN)
    found.add("schema", partial(schema.check, db), interval=_SELDOM, after=["database"])
    found.add("jobs", _backlog(db), interval=_SELDOM, critical=False, after=["database"])
    if settings.database.replica_url is not None:
        found.add("replica", db.ping_replica, interval=_SELDOM, critical=False)
    if isinstance(engine, _WithBroker):
        found.add("broker", engine.ping, timeout=_BROKER_SECONDS, critical=False)
    _add_places(found, settings, files)
    return found


def _add_places(found: Health, settings: Settings, files: Files) -> None:
    disk = disk_space(settings.data_dir, fail_below=16 * MiB, warn_below=256 * MiB)
    if settings.data_dir.exists():
        found.add("disk", disk, interval=_SELDOM, critical=False)
    if settings.bucket is not None:
        found.add("files", files.ping, timeout=_STORE_SECONDS, interval=_SELDOM, critical=False)
    if settings.mail.url is not None:
        found.add("mail", reachable(settings.mail.url), interval=_SELDOM, critical=False)


def _backlog(db: Database) -> Callable[[], Awaitable[str | None]]:
    async def check() -> str | None:
        async with db.apart() as connection:
            queues = await jobs.waiting(connection)
        late = [name for name, queue in sorted(queues.items()) if queue.oldest > _LONG]
        return f"jobs have waited for more than a minute in {', '.join(late)}" if late else None

    return check

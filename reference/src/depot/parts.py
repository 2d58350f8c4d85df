"""What Depot opens when it starts, built from its settings."""

from datetime import timedelta

from depot.settings import Settings
from roadworthy.database import Database

__all__ = ["database"]


def database(settings: Settings) -> Database:
    """Return the database; where it is a file of the data directory, make that first."""
    if settings.database.url is None:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    left = settings.shutdown.grace_seconds - settings.drain_seconds
    return Database(settings.database_url, drain=timedelta(seconds=left / 2))

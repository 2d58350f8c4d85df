"""Times: UTC everywhere, to the microsecond."""

from datetime import UTC, datetime

from sqlalchemy import DateTime, Dialect
from sqlalchemy.types import TypeDecorator

__all__ = ["UtcTime", "now", "of_timestamp", "text"]


def now() -> datetime:
    """Return this moment in UTC."""
    return datetime.now(UTC)


def of_timestamp(seconds: float) -> datetime:
    """Return the moment so many seconds after 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def text(moment: datetime) -> str:
    """Write a time as RFC 3339 does: `2026-01-31T12:00:00.000000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class UtcTime(TypeDecorator[datetime]):
    """A column of times: SQLite has no time zones, so UTC is put back when a row is read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Write UTC; a time without a zone is a bug."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A time without a zone: use depot.times.now().")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Read UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

"""The one clock of all who publish: the database's, where that may be elsewhere."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, func

__all__ = ["moment"]


def moment(dialect: str) -> ColumnElement[Any] | datetime:
    """Return what time it is, as a value for a statement."""
    # What waited for its lock for long was not written when its transaction began.
    return func.clock_timestamp() if dialect == "postgresql" else datetime.now(UTC)

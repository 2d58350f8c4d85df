"""The table of what users did."""

from datetime import datetime

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from depot.rows import Row
from depot.times import UtcTime

__all__ = ["ActionRow"]


class ActionRow(Row):
    """One action of a user: written by the job that has its id, never changed."""

    __tablename__ = "user_actions"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(100))
    at: Mapped[datetime] = mapped_column(UtcTime)
    request_id: Mapped[str] = mapped_column(String(128))

    __table_args__ = (Index(None, "user_id", "at", "id"),)

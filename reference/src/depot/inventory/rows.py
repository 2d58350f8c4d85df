"""The table of items."""

from datetime import datetime
from decimal import Decimal
from secrets import randbelow
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from depot.money import Cents
from depot.rows import Row
from depot.times import UtcTime, now

__all__ = ["ItemRow"]


def _next_version(version: int | None) -> int:
    # An item starts at random: never where a deleted namesake's versions stood.
    return randbelow(2**53) if version is None else version + 1


class ItemRow(Row):
    """One item and how much of it there is."""

    __tablename__ = "items"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    quantity: Mapped[int] = mapped_column(BigInteger)
    price: Mapped[Decimal] = mapped_column(Cents)
    is_active: Mapped[bool]
    min_order: Mapped[int] = mapped_column(BigInteger)
    max_order: Mapped[int | None] = mapped_column(BigInteger)
    # JSON, not JSONB: what was sent comes back as it was sent, 1e300 included.
    attributes: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcTime, default=now)
    updated_at: Mapped[datetime] = mapped_column(UtcTime, default=now, onupdate=now)
    version: Mapped[int] = mapped_column(BigInteger)

    # Every UPDATE and DELETE names the version that was read, and counts it up.
    __mapper_args__ = {  # noqa: RUF012 - SQLAlchemy reads it once
        "version_id_col": version,
        "version_id_generator": _next_version,
    }
    __table_args__ = (
        CheckConstraint("quantity >= 0", name="quantity_is_not_negative"),
        CheckConstraint("price > 0", name="price_is_positive"),
        CheckConstraint("min_order >= 1", name="min_order_is_positive"),
        CheckConstraint("max_order >= min_order", name="max_order_is_not_below_min_order"),
        Index(None, "created_at", "id"),
    )

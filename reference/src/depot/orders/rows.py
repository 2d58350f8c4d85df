"""The tables of orders.

Lines and ledger name items without referring to their rows: an item may be deleted,
what was sold of it stays.
"""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from depot.money import Cents
from depot.rows import Row
from depot.times import UtcTime

__all__ = ["InvoiceRow", "LedgerRow", "OrderLineRow", "OrderRow"]

# SQLite counts up by itself only in a column declared INTEGER.
_Serial = BigInteger().with_variant(Integer, "sqlite")


class OrderLineRow(Row):
    """One line of an order, at the price of that moment."""

    __tablename__ = "order_lines"

    order_id: Mapped[str] = mapped_column(
        ForeignKey("orders.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    item_id: Mapped[str] = mapped_column(String(64))
    quantity: Mapped[int] = mapped_column(BigInteger)
    unit_price: Mapped[Decimal] = mapped_column(Cents)
    amount: Mapped[Decimal] = mapped_column(Cents)


class OrderRow(Row):
    """One order that was accepted."""

    __tablename__ = "orders"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    status: Mapped[str] = mapped_column(String(16))
    customer_email: Mapped[str] = mapped_column(String(320))
    total: Mapped[Decimal] = mapped_column(Cents)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    confirmation: Mapped[str] = mapped_column(String(16))
    invoice: Mapped[str] = mapped_column(String(16))
    lines: Mapped[list[OrderLineRow]] = relationship(
        lazy="selectin", order_by=OrderLineRow.position
    )


class InvoiceRow(Row):
    """The invoice of one order: apart from it, so that reading orders reads no files."""

    __tablename__ = "invoices"

    order_id: Mapped[str] = mapped_column(
        ForeignKey("orders.id", ondelete="CASCADE"), primary_key=True
    )
    pdf: Mapped[bytes] = mapped_column(LargeBinary)
    made_at: Mapped[datetime] = mapped_column(UtcTime)


class LedgerRow(Row):
    """One entry of the ledger: written with its order, never changed."""

    __tablename__ = "ledger"

    id: Mapped[int] = mapped_column(_Serial, primary_key=True)
    order_id: Mapped[str] = mapped_column(String(36))
    item_id: Mapped[str] = mapped_column(String(64))
    quantity: Mapped[int] = mapped_column(BigInteger)
    unit_price: Mapped[Decimal] = mapped_column(Cents)
    amount: Mapped[Decimal] = mapped_column(Cents)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    day: Mapped[date]

    __table_args__ = (Index(None, "created_at", "id"), Index(None, "day"))

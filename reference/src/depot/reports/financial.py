"""Add up the ledger."""

from sqlalchemy import distinct, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from depot.money import NOTHING
from depot.orders.rows import LedgerRow
from depot.reports.models import Day, FinancialReport
from depot.reports.period import Period

__all__ = ["financial_report"]


async def financial_report(session: AsyncSession, period: Period) -> FinancialReport:
    """Report what was sold, in one query: days and totals cannot disagree."""
    query = (
        select(
            LedgerRow.day,
            func.count(distinct(LedgerRow.order_id)),
            func.sum(LedgerRow.amount),
        )
        .where(LedgerRow.day.between(period.first, period.last))
        .group_by(LedgerRow.day)
    )
    sold = {day: (orders, revenue) for day, orders, revenue in await session.execute(query)}
    days = [
        Day(date=day, orders=orders, revenue=revenue)
        for day in period.days()
        for orders, revenue in [sold.get(day, (0, NOTHING))]
    ]
    return FinancialReport(
        first=period.first,
        last=period.last,
        orders=sum(day.orders for day in days),
        revenue=sum((day.revenue for day in days), NOTHING),
        by_day=days,
    )

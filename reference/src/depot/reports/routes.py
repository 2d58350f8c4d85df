"""The endpoints of reports."""

from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from depot.reports import ledger
from depot.reports.financial import financial_report
from depot.reports.models import FinancialReport
from depot.reports.period import Period
from roadworthy.database import Database, Read
from roadworthy.lifespan import find

__all__ = ["router"]

router = APIRouter(prefix="/reports", tags=["reports"])

MAX_DAYS: Final = 3660

Days = Annotated[int, Query(ge=1, le=MAX_DAYS, description="How many, today included.")]


@router.get("/financial")
async def financial(read: Read, days: Days = 30) -> FinancialReport:
    """Report what was sold, for every day of the period, those without orders too."""
    return await financial_report(read, Period.of_last(days))


class _Csv(StreamingResponse):
    media_type = "text/csv; charset=utf-8"


@router.get("/financial.csv", response_class=_Csv)
async def financial_csv(request: Request, days: Days = 30) -> _Csv:
    """Stream the ledger of the period, one row for each line of an order (RFC 4180)."""
    lines = ledger.as_csv(find(request, Database), Period.of_last(days))
    # Read on to the first entries now: a database that is away is still an answer of its own.
    head = [await anext(lines), await anext(lines, "")]
    return _Csv(
        _chain(head, lines),
        headers={"Content-Disposition": 'attachment; filename="financial.csv"'},
    )


async def _chain(head: list[str], rest: AsyncIterator[str]) -> AsyncIterator[str]:
    for text in head:
        yield text
    async for text in rest:
        yield text

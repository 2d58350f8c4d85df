"""A financial report, as clients read it."""

from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from depot.money import Money

__all__ = ["Day", "FinancialReport"]


class Day(BaseModel):
    """The sales of one day, in UTC."""

    date: date
    orders: int
    revenue: Money


class FinancialReport(BaseModel):
    """The sales of a number of days, today included."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    first: Annotated[date, Field(alias="from", description="The first day.")]
    last: Annotated[date, Field(alias="to", description="The last day: today, in UTC.")]
    orders: int
    revenue: Money
    by_day: Annotated[
        list[Day], Field(description="Every day, oldest first, those without orders too.")
    ]

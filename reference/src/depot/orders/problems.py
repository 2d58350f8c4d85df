"""The problems of orders."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from roadworthy.problems import Problem

__all__ = ["InsufficientStock", "InvoiceFailed", "OrderNotFound", "Shortage"]


@dataclass(frozen=True, slots=True)
class Shortage:
    """One item of which an order wants more than there is."""

    item_id: str
    requested: int
    available: int


class OrderNotFound(Problem):
    """No order has this id."""

    status = 404
    title = "Order not found"
    detail = "There is no such order."


class InsufficientStock(Problem):
    """The stock holds less than the order asks for; `details` lists every item that is short."""

    status = 409
    title = "Not enough stock"
    detail = "Only {shortages[0].available} of {shortages[0].item_id} are left."
    details_type = Shortage
    shortages: Sequence[Shortage]

    def details(self) -> list[Any]:
        """Carry one object for each item."""
        return list(self.shortages)


class InvoiceFailed(Problem):
    """The invoice could not be made, and will not be until an operator tries again.

    It is a 404 as NOT_READY is, without `Retry-After`: waiting for it would not end.
    """

    status = 404
    title = "Invoice failed"
    detail = "The invoice of this order could not be made."

"""An order, as clients send and read it."""

from datetime import datetime
from typing import Annotated, Final, Literal, TypeAlias

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from depot.inventory.models import ItemId, OrderQuantity
from depot.money import Money

__all__ = ["NewLine", "NewOrder", "Order", "OrderLine"]

MAX_LINES: Final = 100
MAX_EMAIL: Final = 254
"""RFC 5321 §4.5.3.1.3, less the angle brackets."""


def _deliverable(text: str) -> str:
    try:
        # Whether mail arrives is found out by sending it: no DNS while a client waits.
        address = validate_email(text, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        address = None
    if address is None or "." not in address.domain:
        raise PydanticCustomError("email", "Input should be an e-mail address")
    return address.normalized


Email: TypeAlias = Annotated[
    str,
    Field(max_length=MAX_EMAIL, json_schema_extra={"format": "email"}),
    AfterValidator(_deliverable),
]


class NewLine(BaseModel):
    """A line of a new order: an item and its quantity."""

    model_config = ConfigDict(strict=True, extra="forbid")

    item_id: ItemId
    quantity: OrderQuantity


class NewOrder(BaseModel):
    """An order to be placed; lines of the same item count together."""

    model_config = ConfigDict(strict=True, extra="forbid")

    customer_email: Email
    lines: Annotated[list[NewLine], Field(min_length=1, max_length=MAX_LINES)]


class OrderLine(BaseModel):
    """A line of an order, at the price of the moment of the order."""

    model_config = ConfigDict(from_attributes=True)

    item_id: str
    quantity: int
    unit_price: Money
    amount: Money


class Order(BaseModel):
    """An order that was accepted."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    status: Literal["accepted"]
    customer_email: str
    lines: list[OrderLine]
    total: Money
    created_at: datetime
    confirmation: Literal["pending", "sent", "failed"]
    invoice: Literal["pending", "ready", "failed"]

"""Money: exact to the cent, in Python a `Decimal`, in JSON a string, in a row whole cents.

Cents are integers because SQLite has no decimal type, and because integers add up
to the same sum in both databases.
"""

import re
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError
from sqlalchemy import BigInteger, Dialect
from sqlalchemy.types import TypeDecorator

__all__ = ["MAX", "NOTHING", "Cents", "Money", "Price", "text"]

MAX: Final = Decimal("9999999999.99")
"""The largest price and order total: nine million such orders a day still add up in 64 bits."""

NOTHING: Final = Decimal(0)

_TEXT: Final = r"^-?(0|[1-9][0-9]{0,9})(\.[0-9]{1,2})?$"
_SENT: Final = r"^(0|[1-9][0-9]*)\.[0-9]{2}$"


def text(amount: Decimal) -> str:
    """Write an amount with two places: `9.50`."""
    return f"{amount:.2f}"


def _read(value: Any) -> Any:
    match value:
        case bool():
            raise PydanticCustomError("decimal_type", "Input should be a number or a string")
        case int():
            return _exact(Decimal(value))
        case float():
            # 15 digits are what a double always carries: 0.1 + 0.2 is 0.3 there.
            return _exact(Decimal(f"{value:.15g}"))
        case str() if re.match(_TEXT, value) and not value.endswith("\n"):
            return Decimal(value)
        case str():
            raise PydanticCustomError(
                "decimal_parsing", "Input should be a decimal with at most two places, as in 9.99"
            )
        case Decimal():
            return _exact(value)
        case _:
            raise PydanticCustomError("decimal_type", "Input should be a number or a string")


def _exact(amount: Decimal) -> Decimal:
    if not amount.is_finite():
        raise PydanticCustomError("finite_number", "Input should be a finite number")
    # Beyond MAX the bound is what is wrong with it, whatever its places.
    if abs(amount) <= MAX and amount != amount.quantize(Decimal("0.01")):
        raise PydanticCustomError(
            "decimal_max_places", "Input should have no more than two decimal places"
        )
    return amount


Money = Annotated[
    Decimal,
    PlainSerializer(text, return_type=str, when_used="json"),
    WithJsonSchema(
        {"type": "string", "pattern": _SENT, "examples": ["9.99"]}, mode="serialization"
    ),
]
"""An amount as it is sent."""

Price = Annotated[
    Decimal,
    BeforeValidator(_read),
    Field(gt=0, le=MAX),
    PlainSerializer(text, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "maximum": float(MAX),
                    "multipleOf": 0.01,
                },
                {"type": "string", "pattern": r"^(0|[1-9][0-9]{0,9})(\.[0-9]{1,2})?$"},
            ],
            "examples": ["9.99"],
        },
        mode="validation",
    ),
    WithJsonSchema(
        {"type": "string", "pattern": _SENT, "examples": ["9.99"]}, mode="serialization"
    ),
]
"""A price as it is received: more than nothing, at most `MAX`, a number or a string."""


class Cents(TypeDecorator[Decimal]):
    """A column of money: whole cents in 64 bits."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        """Write cents; an amount finer than a cent is a bug, not something to round."""
        if value is None:
            return None
        cents = value * 100
        if cents != int(cents):
            raise ValueError("An amount has more than two places: round it where it is made.")
        return int(cents)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """Read cents; a sum of them comes as a decimal from PostgreSQL."""
        return None if value is None else Decimal(int(value)).scaleb(-2)

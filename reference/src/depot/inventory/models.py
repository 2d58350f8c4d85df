"""An item, as clients send and read it."""

import json
import re
from datetime import datetime
from typing import Annotated, Any, Final, TypeAlias
from uuid import uuid4

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from depot.money import Price
from roadworthy.patching import ReadOnly

__all__ = ["Item", "ItemId", "ItemPage", "NewItem", "is_item_id"]

MAX_QUANTITY: Final = 2**31 - 1
MAX_ATTRIBUTES_BYTES: Final = 2**20
"""The size that patches may grow the attributes to: no more than one body can bring."""

_ID: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


def is_item_id(text: str) -> bool:
    """Return whether an item could have this id."""
    return re.fullmatch(_ID, text) is not None and not text.endswith("\n")


def _whole(value: Any) -> Any:
    # JSON has one kind of number: 5.0 is an integer (JSON Schema, Core §4.2.3).
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _of_bearable_size(attributes: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if len(json.dumps(attributes, ensure_ascii=False)) > MAX_ATTRIBUTES_BYTES:
        raise PydanticCustomError(
            "attributes_too_large", "Attributes should be at most 1048576 characters of JSON"
        )
    return attributes


ItemId: TypeAlias = Annotated[str, Field(pattern=_ID, max_length=64, examples=["item-001"])]
Quantity: TypeAlias = Annotated[int, Field(ge=0, le=MAX_QUANTITY), BeforeValidator(_whole)]
OrderQuantity: TypeAlias = Annotated[int, Field(ge=1, le=MAX_QUANTITY), BeforeValidator(_whole)]
Attributes: TypeAlias = Annotated[dict[str, JsonValue], AfterValidator(_of_bearable_size)]


class _ItemContent(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", from_attributes=True)

    name: Annotated[str, Field(min_length=1, max_length=200)]
    description: str | None = None
    quantity: Quantity
    price: Price
    is_active: bool = True
    min_order: OrderQuantity = 1
    max_order: OrderQuantity | None = Field(None, description="Never below min_order.")
    attributes: Attributes = {}

    @field_validator("max_order")
    @classmethod
    def _not_below_min_order(cls, value: int | None, info: ValidationInfo) -> int | None:
        least: Any = info.data.get("min_order")
        if value is not None and least is not None and value < least:
            raise PydanticCustomError("max_below_min", "max_order should not be below min_order")
        return value


class NewItem(_ItemContent):
    """An item to be added."""

    id: ItemId = Field(default_factory=lambda: str(uuid4()), description="Made where omitted.")


class _Identified(BaseModel):
    id: Annotated[ItemId, ReadOnly]


class Item(_ItemContent, _Identified):
    """An item of the inventory."""

    created_at: Annotated[datetime, ReadOnly]
    updated_at: Annotated[datetime, ReadOnly]


class ItemPage(BaseModel):
    """Some items, the newest first, and where to go on."""

    items: list[Item]
    next_cursor: str | None = Field(description="Null on the last page.")

"""A service with one patchable resource, kept in memory; served by uvicorn in the tests."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI
from pydantic import BaseModel, Field, computed_field, model_validator

from roadworthy import patching, problems
from roadworthy.patching import AnyPatch, Patch, PatchBody, ReadOnly
from roadworthy.problems import NotFound


class Address(BaseModel):
    street: str = Field(min_length=1)
    city: str = "Paris"
    zip: str | None = None


class Item(BaseModel):
    id: Annotated[str, ReadOnly]
    name: str = Field(min_length=1, max_length=200, description="What it is called.")
    description: str | None = None
    quantity: int = Field(ge=0, le=2**31 - 1)
    price: Annotated[Decimal, Field(gt=0, decimal_places=2)]
    weight: float = 1.0
    is_active: bool = True
    min_order: int = Field(1, ge=1)
    max_order: int | None = None
    attributes: dict[str, Any] = {}
    address: Address | None = None
    tags: list[str] = Field(default_factory=list)
    nickname: str | None = None
    display: str | None = None
    created_at: datetime = Field(json_schema_extra={"readOnly": True})

    @computed_field
    @property
    def total(self) -> Decimal:
        return self.price * self.quantity

    @model_validator(mode="after")
    def in_order(self) -> "Item":
        if self.max_order is not None and self.max_order < self.min_order:
            raise ValueError("max_order is below min_order")
        self.display = self.nickname or self.name  # marks the field as set: FAILURES P8
        return self


def new_row() -> dict[str, Any]:
    return {
        "id": "item-001",
        "name": "Chair",
        "description": "Oak",
        "quantity": 3,
        "price": Decimal("19.90"),
        "weight": 4.5,
        "is_active": True,
        "min_order": 1,
        "max_order": 10,
        "attributes": {"size": {"w": 40, "h": 90}, "color": "red"},
        "address": {"street": "Rue A", "city": "Lyon", "zip": "69001"},
        "tags": ["a", "b"],
        "nickname": None,
        "display": "kept as it was written",
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }


router = APIRouter()
rows: dict[str, dict[str, Any]] = {"item-001": new_row()}


def find(item_id: str) -> dict[str, Any]:
    if item_id not in rows:
        raise NotFound
    return rows[item_id]


@router.post("/reset", status_code=204)
async def reset() -> None:
    rows["item-001"] = new_row()


@router.get("/items/{item_id}", dependencies=[patching.advertise(AnyPatch)])
async def read_item(item_id: str) -> Item:
    return Item.model_validate(find(item_id))


@router.get("/rows/{item_id}")
async def read_row(item_id: str) -> dict[str, Any]:
    return find(item_id)


@router.patch("/items/{item_id}")
async def update_item(item_id: str, patch: Annotated[Patch[Item], AnyPatch]) -> Item:
    row = find(item_id)
    change = patching.apply(patch, Item.model_validate(row))
    row.update(change.values)
    return change.after


@router.patch("/lenient/{item_id}")
async def touch_item(
    item_id: str, patch: Annotated[Patch[Item], PatchBody(allow_empty=True)]
) -> dict[str, Any]:
    return dict(patching.apply(patch, Item.model_validate(find(item_id))).values)


def create_app() -> FastAPI:
    app = FastAPI(max_body_size=64 * 1024)
    app.include_router(router)
    problems.install(app)
    return app


def create_plain_app() -> FastAPI:
    app = FastAPI()
    app.include_router(router)
    return app

"""What type checkers make of a patch: fields are narrowed, and a change knows its entity.

Never run. Each ignore is an assertion: both checkers report it where it is not needed.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from collections.abc import Mapping
from typing import Annotated, Any, assert_type

from fastapi import FastAPI
from pydantic import MISSING, BaseModel, Field

from roadworthy import patching
from roadworthy.patching import AnyPatch, Change, MergePatch, Patch, PatchBody, ReadOnly

app = FastAPI()


class Address(BaseModel):
    city: str


class Item(BaseModel):
    id: Annotated[str, ReadOnly]
    quantity: int = Field(ge=0)
    note: str | None = None
    address: Address


class AddressPatch(Patch[Address]):
    city: str | MISSING


class ItemPatch(Patch[Item]):
    quantity: int | MISSING
    note: str | MISSING | None
    address: AddressPatch | MISSING


@app.patch("/derived")
async def derived(patch: Annotated[Patch[Item], MergePatch], item: Item) -> Item:
    change = patching.apply(patch, item)
    assert_type(change, Change[Item])
    assert_type(change.before, Item)
    assert_type(change.values, Mapping[str, Any])
    return change.after


@app.patch("/declared")
async def declared(patch: Annotated[ItemPatch, AnyPatch], item: Item) -> Item:
    if patch.quantity is not MISSING:
        assert_type(patch.quantity, int)
    if patch.note is not MISSING:
        assert_type(patch.note, str | None)
    if patch.address is not MISSING and patch.address.city is not MISSING:
        assert_type(patch.address.city, str)
    patch.quantity + 1  # type: ignore[operator]
    _ = patch.colour  # type: ignore[attr-defined]
    return patching.apply(patch, item).after


def parsed(item: Item, other: Address) -> None:
    patch = patching.parse(ItemPatch, {"quantity": 1})
    assert_type(patch, ItemPatch)
    assert_type(patching.apply(patch, item), Change[Item])
    patching.apply(patch, other)  # type: ignore[misc]
    PatchBody(json_patch=True, allow_empty=True, max_operations=10)

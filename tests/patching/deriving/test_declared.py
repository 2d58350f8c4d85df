"""A subclass of `Patch[Item]` repeats fields for type checkers, and may not drift."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import MISSING, BaseModel, BeforeValidator, Field

from roadworthy import patching
from roadworthy.patching import Patch, ReadOnly
from roadworthy.problems import ValidationFailed


class Address(BaseModel):
    city: str


class Item(BaseModel):
    id: Annotated[int, ReadOnly] = 1
    quantity: int = Field(1, ge=0, alias="qty")
    note: str | None = None
    kind: Literal["a", "b"] = "a"
    address: Address | None = None
    attributes: dict[str, int] = {}
    given: Annotated[str, BeforeValidator(str)] = ""


class AddressPatch(Patch[Address]):
    city: str | MISSING


class ItemPatch(Patch[Item]):
    quantity: int | MISSING
    note: str | MISSING | None = MISSING
    kind: Literal["a", "b"] | MISSING
    address: AddressPatch | MISSING | None
    attributes: dict[str, Any] | MISSING
    given: object | MISSING


def test_constraints_and_aliases_still_come_from_the_entity():
    assert patching.parse(ItemPatch, {"qty": 5}).quantity == 5
    with pytest.raises(ValidationFailed):
        patching.parse(ItemPatch, {"qty": -5})
    with pytest.raises(ValidationFailed):
        patching.parse(ItemPatch, {"kind": "c"})


def test_what_is_omitted_is_missing_and_what_is_not_repeated_is_still_taken():
    class Short(Patch[Item]):
        quantity: int | MISSING

    patch = patching.parse(Short, {"note": None})

    assert patch.quantity is MISSING
    assert patching.apply(patch, Item(note="x")).values == {"note": None}


def test_a_nested_patch_is_of_the_declared_class():
    patch = patching.parse(ItemPatch, {"address": {"city": "Lyon"}})

    assert isinstance(patch.address, AddressPatch)
    assert patching.apply(patch, Item()).after.address == Address(city="Lyon")


def test_both_spellings_of_a_patch_have_one_schema():
    assert ItemPatch.model_json_schema()["properties"].keys() == (
        Patch[Item].model_json_schema()["properties"].keys()
    )
    assert "required" not in ItemPatch.model_json_schema()


@pytest.mark.parametrize(
    ("name", "annotation", "line"),
    [
        ("qantity", int | MISSING, "Item has no such field. It has quantity, note"),
        ("id", int | MISSING, "read-only"),
        ("quantity", str | MISSING, "`quantity: int | MISSING`"),
        ("quantity", int, "`quantity: int | MISSING`"),
        ("quantity", int | None | MISSING, "`quantity: int | MISSING`"),
        ("note", str | MISSING, r"`note: str | MISSING | None`"),
        ("address", Address | None | MISSING, r"`address: Patch[Address] | MISSING | None`"),
        ("attributes", dict[str, int] | MISSING, r"`attributes: dict[str, Any] | MISSING`"),
        ("given", str | MISSING, "`given: object | MISSING`"),
    ],
)
def test_p9_drift_is_an_error_where_the_class_is_made(name, annotation, line):
    with pytest.raises(TypeError) as caught:
        type(
            "Drifted",
            (Patch[Item],),
            {"__annotations__": {name: annotation}, "__module__": __name__},
        )

    assert f"Drifted.{name}" in str(caught.value)
    assert line in str(caught.value)


def test_a_json_patch_has_no_values_before_it_is_applied():
    from roadworthy.patching.body.read import from_operations

    patch = from_operations(ItemPatch, [{"op": "replace", "path": "/qty", "value": 5}])

    with pytest.raises(AttributeError, match=r"patching.apply\(patch, current\)"):
        _ = patch.quantity
    assert patching.apply(patch, Item()).values == {"quantity": 5}

"""Whatever is sent, the outcome is a valid entity or a refusal, and the rest stays."""

import json
from decimal import Decimal
from math import inf
from typing import Annotated, Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, model_validator

from roadworthy import patching
from roadworthy.patching import Patch, PatchTestFailed, ReadOnly
from roadworthy.patching.body.read import from_operations
from roadworthy.patching.json_patch.operations import check
from roadworthy.problems import ValidationFailed


class Address(BaseModel):
    city: str = Field("", max_length=3)
    zip: str | None = None


class Item(BaseModel):
    id: Annotated[int, ReadOnly] = 1
    name: str = Field("n", min_length=1)
    price: Decimal = Field(Decimal(1), gt=0, decimal_places=2)
    low: int = Field(0, ge=0)
    high: int | None = None
    address: Address | None = None
    attributes: dict[str, Any] = {}
    tags: list[str] = []

    @model_validator(mode="after")
    def in_order(self) -> "Item":
        if self.high is not None and self.high < self.low:
            raise ValueError("high is below low")
        return self


NAMES = [*Item.model_fields, "nmae"]
KEYS = st.sampled_from(["a", "b", "city", "zip", "~", "/"])
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-2, 5)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.sampled_from(["", "x", "long text", " 5 ", "1.5", "Infinity"])
)
values = st.recursive(
    scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(KEYS, v, max_size=3), max_leaves=6
)
likely = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text("xyz", max_size=3),
        "price": st.sampled_from([1, 2.5, "3.25", 0, "9.999"]),
        "low": st.integers(-1, 5),
        "high": st.none() | st.integers(0, 5),
        "address": st.none() | st.dictionaries(st.sampled_from(["city", "zip"]), st.text("ab")),
        "attributes": st.dictionaries(KEYS, values, max_size=3),
        "tags": st.lists(st.text("ab", max_size=2), max_size=3),
    },
)
documents = likely | st.dictionaries(st.sampled_from(NAMES), values | st.just(inf), max_size=4)
paths = st.lists(st.sampled_from([*NAMES, "a", "b", "city", "0", "-", "~1"]), max_size=3).map(
    lambda parts: "".join(f"/{part}" for part in parts)
)
operations = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"])},
        optional={"path": paths, "from": paths, "value": values},
    ),
    max_size=5,
)


def build(document: dict[str, Any]) -> Item:
    try:
        return patching.apply(patching.parse(Patch[Item], document), Item()).after
    except ValidationFailed:
        return Item(name="fallback", low=2, attributes={"a": {"b": 1}}, address=Address(city="x"))


entities = documents.map(build)


def applied(current: Item, patch: Any) -> patching.Change[Item] | None:
    try:
        return patching.apply(patch(), current)
    except (ValidationFailed, PatchTestFailed):
        return None


def is_sound(change: patching.Change[Item]) -> bool:
    text = change.after.model_dump_json()
    return Item.model_validate_json(text) == change.after and "Infinity" not in json.dumps(
        change.after.model_dump(mode="json")["price"]
    )


@given(entities, documents)
def test_a_merge_patch_gives_a_valid_entity_or_is_refused(current, document):
    before = current.model_copy(deep=True)

    change = applied(current, lambda: patching.parse(Patch[Item], document))

    assert current == before
    if change is not None:
        assert is_sound(change)
        assert change.values.keys() == document.keys()
        kept = Item.model_fields.keys() - document.keys()
        assert {n: getattr(change.after, n) for n in kept} == {n: getattr(before, n) for n in kept}


@given(entities, st.dictionaries(KEYS, values, max_size=3))
def test_a_free_form_object_becomes_what_rfc_7396_says(current, attributes):
    change = applied(current, lambda: patching.parse(Patch[Item], {"attributes": attributes}))

    assert change is not None
    assert change.values["attributes"] == patching.merge(current.attributes, attributes)


@given(entities, documents)
def test_the_same_merge_patch_again_changes_nothing_more(current, document):
    change = applied(current, lambda: patching.parse(Patch[Item], document))

    if change is not None:
        again = patching.apply(patching.parse(Patch[Item], document), change.after)
        assert again.after == change.after


@given(entities, operations)
def test_a_json_patch_gives_a_valid_entity_or_is_refused(current, document):
    before = current.model_copy(deep=True)

    change = applied(current, lambda: from_operations(Patch[Item], check(document, at_most=100)))

    assert current == before
    if change is not None:
        assert is_sound(change)
        assert change.after.id == before.id
        kept = Item.model_fields.keys() - change.values.keys()
        assert {n: getattr(change.after, n) for n in kept} == {n: getattr(before, n) for n in kept}

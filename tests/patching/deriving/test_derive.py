"""What `Patch[Item]` takes from `Item`, and what it refuses to take."""

import dataclasses
import inspect
import subprocess
import sys
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Generic, Literal, NewType, TypeVar
from uuid import UUID

import pytest
from pydantic import (
    MISSING,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    RootModel,
    SecretStr,
    field_validator,
)
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

from roadworthy import patching
from roadworthy.patching import Patch, ReadOnly
from roadworthy.problems import ValidationFailed

T = TypeVar("T")


def change(current, document):
    return patching.apply(patching.parse(Patch[type(current)], document), current)


def refusal(current, document):
    with pytest.raises(ValidationFailed) as caught:
        change(current, document)
    return [(error.pointer, error.code) for error in caught.value.errors]


def schema_of(entity):
    return Patch[entity].model_json_schema()


class Leaf(BaseModel):
    x: int = 1
    y: int = 2


def test_the_class_is_made_once():
    assert Patch[Leaf] is Patch[Leaf]
    assert issubclass(Patch[Leaf], Patch)


def test_importing_the_package_derives_nothing():
    code = (
        "import sys, roadworthy.patching; from roadworthy.patching.deriving import derive; "
        "sys.exit(len(derive._DERIVED))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("kind", [int, "Leaf", RootModel[int], dict[str, int]])
def test_only_models_with_fields_have_a_patch(kind):
    with pytest.raises(TypeError, match="Pydantic model with fields"):
        Patch[kind]


class Described(BaseModel):
    quantity: int = Field(
        3, ge=0, le=9, title="How many", description="In stock.", examples=[1], deprecated=True
    )
    code: str = Field(pattern="^[a-z]+$", max_length=3)
    share: Annotated[float, Field(gt=0)] | None = None
    secret: SecretStr = SecretStr("")
    id: Annotated[int, ReadOnly] = 1


def test_p9_constraints_and_descriptions_are_the_entitys():
    properties = schema_of(Described)["properties"]

    assert properties["quantity"] == {
        "type": "integer",
        "minimum": 0,
        "maximum": 9,
        "title": "How many",
        "description": "In stock.",
        "examples": [1],
        "deprecated": True,
    }
    assert properties["code"] == Described.model_json_schema()["properties"]["code"]
    assert {"exclusiveMinimum": 0, "type": "number"} in properties["share"]["anyOf"]
    assert "id" not in properties
    assert "required" not in schema_of(Described)


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"quantity": -5}, "greater_than_equal"),
        ({"code": "ABC"}, "string_pattern_mismatch"),
        ({"code": "abcd"}, "string_too_long"),
        ({"share": 0}, "greater_than"),
    ],
)
def test_p9_every_constraint_refuses(document, code):
    assert refusal(Described(code="a"), document) == [(f"/{next(iter(document))}", code)]


def test_p9_what_the_entity_hides_when_it_is_dumped_is_kept():
    after = change(Described(code="a", secret="s3cret"), {"quantity": 1}).after

    assert after.secret.get_secret_value() == "s3cret"


@pytest.mark.parametrize("field", ["quantity", "code", "secret"])
def test_p1_null_is_refused_before_there_is_a_resource(field):
    with pytest.raises(ValidationFailed):
        patching.parse(Patch[Described], {field: None})


class Aliased(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)
    unit_price: int = 1
    stock: int = Field(2, validation_alias=AliasChoices("stock", "inStock", AliasPath("a", 0)))
    shown: int = Field(3, validation_alias="taken", serialization_alias="given")
    both: Leaf = Leaf()

    @field_validator("unit_price")
    @classmethod
    def cheap(cls, value: int) -> int:
        if value > 100:
            raise ValueError("too much")
        return value


@pytest.mark.parametrize(
    ("document", "values"),
    [
        ({"unitPrice": 5}, {"unit_price": 5}),
        ({"stock": 5}, {"stock": 5}),
        ({"inStock": 5}, {"stock": 5}),
        ({"taken": 5}, {"shown": 5}),
        ({"both": {"y": 5}}, {"both": {"x": 1, "y": 5}}),
    ],
)
def test_p9_aliases_are_those_of_the_entity(document, values):
    assert change(Aliased(), document).values == values


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"unit_price": 5}, "extra_forbidden"),
        ({"given": 5}, "extra_forbidden"),
        ({"stock": 1, "inStock": 2}, "extra_forbidden"),
    ],
    ids=str,
)
def test_p9_other_names_than_the_entitys_are_refused(document, code):
    assert [found for _, found in refusal(Aliased(), document)] == [code]


def test_p9_errors_of_the_whole_speak_of_what_the_client_wrote():
    assert refusal(Aliased(), {"unitPrice": 500}) == [("/unitPrice", "value_error")]


def test_p9_a_field_may_go_by_its_name_where_the_entity_says_so():
    class Either(BaseModel):
        model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)
        size: int = Field(1, alias="theSize")

    assert change(Either(), {"size": 2}).values == {"size": 2}
    assert change(Either(), {"theSize": 2}).values == {"size": 2}


class Kind(StrEnum):
    OLD = "old"


Sku = NewType("Sku", str)


class Typed(BaseModel):
    on: date = date(2026, 1, 1)
    at: datetime | None = None
    lasts: timedelta = timedelta(0)
    key: UUID = UUID(int=0)
    kind: Kind = Kind.OLD
    raw: bytes = b""
    pair: tuple[int, date] = (1, date(2026, 1, 1))
    unique: set[int] = set()
    choice: Literal["a", 1] = "a"
    sku: Sku = Sku("a")
    amounts: dict[str, Decimal] = {}
    prices: list[Decimal] = []


@pytest.mark.parametrize(
    ("document", "values"),
    [
        ({"on": "2027-02-03"}, {"on": date(2027, 2, 3)}),
        ({"lasts": "PT5S"}, {"lasts": timedelta(seconds=5)}),
        ({"key": str(UUID(int=7))}, {"key": UUID(int=7)}),
        ({"kind": "old"}, {"kind": Kind.OLD}),
        ({"raw": "abc"}, {"raw": b"abc"}),
        ({"pair": [2, "2027-02-03"]}, {"pair": (2, date(2027, 2, 3))}),
        ({"choice": 1}, {"choice": 1}),
        ({"sku": "b"}, {"sku": "b"}),
        ({"prices": [1.5, "2"]}, {"prices": [Decimal("1.5"), Decimal(2)]}),
    ],
    ids=str,
)
def test_single_values_and_lists_of_them_are_pythons_own(document, values):
    assert change(Typed(), document).values == values


@pytest.mark.parametrize(
    ("document", "values"),
    [
        ({"unique": [1, 2]}, {"unique": [1, 2]}),
        ({"amounts": {"a": "1.5", "b": None}}, {"amounts": {"a": "1.5"}}),
    ],
    ids=str,
)
def test_what_only_a_json_column_can_hold_is_json(document, values):
    assert change(Typed(), document).values == values


@pytest.mark.parametrize(
    "document",
    [{"prices": [" 5 "]}, {"amounts": {"a": " 5 "}}, {"on": 5}, {"choice": "1"}],
    ids=str,
)
def test_p7_nothing_is_coerced_inside_other_types(document):
    pointers = [pointer for pointer, _ in refusal(Typed(), document)]

    assert pointers[0].startswith(f"/{next(iter(document))}")


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9
    name: str


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    tricks: list[str] = []
    name: str


class Owner(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    other: Cat | str | None = None


def test_a_member_of_a_union_merges_with_what_is_there():
    owner = Owner(pet=Cat(name="Tom"))

    assert change(owner, {"pet": {"name": "Kit"}}).after.pet == Cat(name="Kit")


def test_another_member_of_a_union_must_fit_after_the_merge():
    owner = Owner(pet=Cat(name="Tom"))

    swap = {"pet": {"kind": "dog", "lives": None, "tricks": ["sit"]}}
    assert change(owner, swap).after.pet == Dog(name="Tom", tricks=["sit"])
    assert refusal(owner, {"pet": {"kind": "dog"}}) == [("/pet/lives", "extra_forbidden")]
    assert refusal(owner, {"pet": {"kind": "cow"}}) == [("/pet", "union_tag_invalid")]


def test_a_model_beside_other_types_merges_too():
    owner = Owner(pet=Cat(name="Tom"), other=Cat(name="Kit", lives=3))

    assert change(owner, {"other": {"lives": 2}}).after.other == Cat(name="Kit", lives=2)
    assert change(owner, {"other": "none"}).after.other == "none"


class Shape(TypedDict, total=False):
    w: int
    h: int


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


class Loose(BaseModel):
    shape: Shape = {"w": 1, "h": 2}
    point: Point = Point(1, 2)
    anything: Any = None
    value: JsonValue = None
    named: dict[str, Leaf] = {}
    table: dict[str, dict[str, int]] = {}


@pytest.mark.parametrize(
    ("document", "name", "after"),
    [
        ({"shape": {"w": 5}}, "shape", {"w": 5, "h": 2}),
        ({"shape": {"w": None}}, "shape", {"h": 2}),
        ({"point": {"y": 7}}, "point", Point(1, 7)),
        ({"anything": {"a": {"b": 1, "c": None}}}, "anything", {"a": {"b": 1}}),
        ({"anything": [None]}, "anything", [None]),
        ({"value": {"a": 1}}, "value", {"a": 1}),
        ({"named": {"a": {"y": 5}}}, "named", {"a": Leaf(x=1, y=5)}),
        ({"table": {"a": {"b": 1, "c": None}}}, "table", {"a": {"b": 1}}),
    ],
    ids=str,
)
def test_p2_every_kind_of_object_merges(document, name, after):
    assert getattr(change(Loose(), document).after, name) == after


@pytest.mark.parametrize(
    "document",
    [
        {"shape": {"w": "5"}},
        {"shape": {"z": 5}},
        {"point": {"x": None}},
        {"point": {"z": 1}},
        {"named": {"a": {"y": True}}},
        {"table": {"a": {"b": "1"}}},
        {"table": {"a": 1}},
    ],
    ids=str,
)
def test_p7_every_kind_of_object_is_strict(document):
    assert refusal(Loose(), document)[0][0].startswith(f"/{next(iter(document))}")


class Node(BaseModel):
    v: int
    child: "Node | None" = None
    leaves: list["Node"] = []


class Left(BaseModel):
    right: "Right | None" = None
    n: int = 0


class Right(BaseModel):
    left: Left | None = None
    n: int = 0


def test_a_model_that_holds_itself_is_patched_at_any_depth():
    node = Node(v=1, child=Node(v=2, child=Node(v=3)))

    after = change(node, {"child": {"child": {"v": 4}}}).after

    assert after == Node(v=1, child=Node(v=2, child=Node(v=4)))
    assert refusal(node, {"child": {"child": {"v": "4"}}}) == [("/child/child/v", "int_type")]


def test_models_that_hold_each_other_are_patched():
    assert change(Left(right=Right(n=1)), {"right": {"left": {"n": 5}}}).after == Left(
        right=Right(n=1, left=Left(n=5))
    )
    assert change(Right(left=Left(n=1)), {"left": {"right": {"n": 5}}}).after == Right(
        left=Left(n=1, right=Right(n=5))
    )


class Page(BaseModel, Generic[T]):
    content: T
    number: int = Field(ge=1)


def test_generic_models_are_patched_by_their_arguments():
    page = Page[Leaf](content=Leaf(), number=1)

    assert change(page, {"content": {"x": 5}}).after.content == Leaf(x=5)
    assert refusal(page, {"number": 0}) == [("/number", "greater_than_equal")]
    assert Patch[Page[int]] is not Patch[Page[str]]


class Read(BaseModel):
    tags: list[str] = []
    ratio: Annotated[float, BeforeValidator(float)] = 1.0
    stripped: Annotated[date | None, BeforeValidator(lambda v: v or None)] = None

    @field_validator("tags", mode="before")
    @classmethod
    def split(cls, value: object) -> object:
        return value.split(",") if isinstance(value, str) else value


def test_what_the_entity_reads_itself_is_read_as_in_a_post():
    assert change(Read(), {"tags": "a,b"}).values == {"tags": ["a", "b"]}
    assert change(Read(), {"stripped": ""}).values == {"stripped": None}
    assert change(Read(), {"stripped": "2026-01-02"}).values == {"stripped": date(2026, 1, 2)}


@pytest.mark.parametrize("text", ["Infinity", "nan", "1e999"])
def test_p5_what_a_validator_makes_infinite_is_refused(text):
    """The body is harmless text: only the outcome shows what became of it."""
    assert refusal(Read(), {"ratio": text}) == [("/ratio", "not_storable")]


def test_a_field_named_like_something_of_ours_is_only_a_field():
    class Awkward(BaseModel):
        entity: int = 1
        values: int = 2
        apply: int = 3
        model_name: int = 4
        parse: int = 5

    document = {"entity": 9, "values": 9, "apply": 9, "model_name": 9, "parse": 9}
    assert change(Awkward(), document).values == document


def test_an_entity_that_keeps_unknown_members_keeps_them_in_a_patch():
    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")
        x: int = 1

    current = Open.model_validate({"x": 1, "more": {"a": 1}})

    assert change(current, {"x": 2}).after.model_extra == {"more": {"a": 1}}


def test_a_cached_property_of_the_entity_is_not_taken_for_a_field():
    class Cached(BaseModel):
        model_config = ConfigDict(extra="forbid")
        x: int = 1

        @cached_property
        def double(self) -> int:
            return self.x * 2

    current = Cached()
    assert current.double == 2

    assert change(current, {"x": 2}).after.double == 4


def test_a_strict_entity_is_patched_with_dates_and_decimals():
    class Strict(BaseModel):
        model_config = ConfigDict(strict=True)
        on: date
        price: Decimal

    current = Strict(on=date(2026, 1, 1), price=Decimal(1))
    assert change(current, {"on": "2027-01-01", "price": "2"}).values == {
        "on": date(2027, 1, 1),
        "price": Decimal(2),
    }


def test_a_subclass_of_the_entity_stays_what_it_is():
    class More(Leaf):
        z: int = 3

    changed = patching.apply(patching.parse(Patch[Leaf], {"x": 5}), More())

    assert changed.after == More(x=5)


def test_before_stays_as_it_was():
    current = Loose(anything={"a": {"b": 1}})

    changed = change(current, {"anything": {"a": {"c": 2}}})

    assert changed.before is current
    assert current.anything == {"a": {"b": 1}}


def test_an_omitted_field_is_missing():
    patch = patching.parse(Patch[Leaf], {"x": 5})

    assert (patch.x, patch.y) == (5, MISSING)


def test_a_patch_for_something_else_says_what_to_write():
    patch = patching.parse(Patch[Leaf], {"x": 5})

    with pytest.raises(TypeError, match=r"Write Leaf.model_validate\(row\) first"):
        patching.apply(patch, {"x": 1})


def test_a_patch_that_nobody_sent_says_what_to_write():
    with pytest.raises(TypeError, match=r"patching.parse\(LeafPatch, \{...\}\)"):
        patching.apply(Patch[Leaf](x=5), Leaf())


def test_the_library_names_what_it_needs_for_json_patch():
    code = """
import sys
sys.modules["jsonpatch"] = None
from typing import Annotated
from fastapi import FastAPI
from pydantic import BaseModel
from roadworthy.patching import AnyPatch, MergePatch, Patch
class Leaf(BaseModel): x: int
app = FastAPI()
@app.patch("/a")
async def a(patch: Annotated[Patch[Leaf], MergePatch]) -> None: ...
try:
    @app.patch("/b")
    async def b(patch: Annotated[Patch[Leaf], AnyPatch]) -> None: ...
except ModuleNotFoundError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "pip install 'roadworthy[json-patch]'" in done.stdout, done.stderr


def test_the_package_offers_functions_rather_than_methods():
    own = {name for name in vars(Patch) if not name.startswith("_")} - {"model_config"}

    assert own - set(dir(BaseModel)) == set()
    assert inspect.isfunction(patching.apply)

"""Classes that are odd in how they are made or spelt: what a patch does to each of them."""

import dataclasses
from datetime import date
from typing import Annotated, Any

import pydantic.dataclasses
import pytest
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    Field,
    RootModel,
    SecretStr,
)
from typing_extensions import TypedDict

from patching.joining.test_join import change, op, refusal
from roadworthy.patching import Patch

# --- fields that a dataclass makes itself ---


@dataclasses.dataclass
class Plain:
    leaf: int
    label: str = ""
    seen: int = dataclasses.field(init=False, default=0)
    notes: list[str] = dataclasses.field(init=False, default_factory=list)


@pydantic.dataclasses.dataclass(frozen=True)
class Sealed:
    leaf: int
    label: str = ""
    seen: int = pydantic.Field(init=False, default=0)


def holder(kind: Any) -> Any:
    class Holder(BaseModel):
        one: kind
        named: dict[str, kind] = {}

    return Holder


@pytest.mark.parametrize("kind", [Plain, Sealed])
@pytest.mark.parametrize(
    "document", [{"one": {"label": "b"}}, [op("replace", "/one/label", "b")]], ids=["merge", "json"]
)
def test_what_a_dataclass_makes_itself_is_no_input(kind, document):
    now = holder(kind)(one=kind(leaf=1))

    made = change(now, document)

    assert made.values == {"one": {"leaf": 1, "label": "b"}}
    assert made.after.one == dataclasses.replace(now.one, label="b")


@pytest.mark.parametrize("kind", [Plain, Sealed])
@pytest.mark.parametrize(
    "document", [{"one": {"seen": 7}}, [op("replace", "/one/seen", 7)]], ids=["merge", "json"]
)
def test_what_a_dataclass_makes_itself_is_read_only(kind, document):
    assert refusal(holder(kind)(one=kind(leaf=1)), document) == [("/one/seen", "read_only")]


def test_what_was_set_since_is_kept_or_named():
    kind = holder(Plain)
    now = kind(one=Plain(leaf=1), named={"a": Plain(leaf=2)})
    now.named["a"].notes.append("of somebody")

    assert change(now, {"one": {"label": "b"}}).after.named == now.named
    with pytest.raises(TypeError, match=r"Plain\.notes has no JSON form"):
        change(now, {"named": {"a": {"label": "b"}}})


def test_a_dataclass_goes_along_with_what_it_hides():
    @dataclasses.dataclass
    class Key:
        secret: SecretStr
        made: int = dataclasses.field(init=False, default=0)

    now = holder(Key)(one=Key(secret=SecretStr("x")))
    made = change(now, [op("copy", "/named/a", source="/one")])
    assert made.values == {"named": {"a": {"secret": "x"}}}


# --- keys of typed dicts that are spelt otherwise ---


class Inner(TypedDict, total=False):
    day: Annotated[date, Field(alias="theDay")]
    note: str


class Outer(TypedDict, total=False):
    inner: Annotated[Inner, Field(validation_alias=AliasChoices("in", "inside"))]
    secret: Annotated[SecretStr, Field(serialization_alias="hush")]


class Words(RootModel[Outer]):
    pass


DAY, NEW = date(2026, 1, 1), date(2027, 2, 2)
SENT = {"in": {"theDay": "2026-01-01", "note": "n"}, "secret": "s"}


class Respelt(BaseModel):
    one: Outer
    listed: list[Outer] = []
    named: dict[str, Outer | None] = {}
    judged: Annotated[Outer, AfterValidator(lambda value: value)] | None = None
    either: Inner | Outer | int = 0
    rooted: Words | None = None


def respelt() -> Respelt:
    return Respelt.model_validate(
        {"one": SENT, "listed": [SENT], "named": {"a": SENT}, "judged": SENT, "either": SENT}
        | {"rooted": SENT}
    )


PLACES = ["one", "judged", "either", "rooted", "named/a"]


def at(place: str, value: Any) -> Any:
    name, _, key = place.partition("/")
    return {name: {key: value} if key else value}


def found(after: Any, place: str) -> Any:
    name, _, key = place.partition("/")
    value = getattr(after, name)
    return value[key] if key else getattr(value, "root", value)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("sent", "inner"),
    [
        ({"in": {"theDay": "2027-02-02"}}, {"day": NEW, "note": "n"}),
        ({"inside": {"note": "m"}}, {"day": DAY, "note": "m"}),
        ({"in": {"theDay": None}}, {"note": "n"}),
        ({"secret": "t"}, {"day": DAY, "note": "n"}),
        ({"inside": None}, None),
    ],
)
def test_a_typed_dict_is_merged_under_the_names_that_clients_know(place, sent, inner):
    now = respelt()

    made = change(now, at(place, sent))

    assert found(made.after, place).get("inner") == inner
    assert found(made.after, place)["secret"] == SecretStr(sent.get("secret", "s"))
    row = {"one": SENT} | dict(made.values)
    assert found(Respelt.model_validate(row), place) == found(made.after, place)


@pytest.mark.parametrize("place", [*PLACES, "listed/0"])
def test_a_json_patch_sees_the_names_that_answers_show(place):
    now = respelt()
    operations = [op("test", f"/{place}/inner/theDay", "2026-01-01")]
    operations += [op("replace", f"/{place}/inner/theDay", "2027-02-02")]

    made = change(now, operations)

    name, _, key = place.partition("/")
    value = made.values[name]
    value = value[int(key)] if key == "0" else value[key] if key else value
    assert value == {"in": {"theDay": "2027-02-02", "note": "n"}, "secret": "s"}


def test_a_member_of_a_typed_dict_moves_under_its_own_name():
    made = change(respelt(), [op("copy", "/listed/0/inner", source="/one/inner")])
    assert made.after.listed[0]["inner"] == {"day": DAY, "note": "n"}


# --- root models behind a validator that reads them raw ---


class Days(RootModel[list[date]]):
    pass


def as_it_is(value: Any) -> Any:
    return value


def test_a_root_model_is_written_for_who_reads_raw_input():
    class Diary(BaseModel):
        weeks: Annotated[dict[str, Days], BeforeValidator(as_it_is)] = {}
        title: str = ""

    made = change(Diary(weeks={"a": Days([DAY])}), {"weeks": {"b": ["2027-02-02"]}})
    assert made.values == {"weeks": {"a": ["2026-01-01"], "b": ["2027-02-02"]}}


# --- where input has a field at a path only ---


def test_a_field_at_a_path_only_has_its_own_name_in_a_patch():
    class Item(BaseModel):
        stock: int = Field(validation_alias=AliasPath("counts", 0))
        title: str = ""

    now = Item.model_validate({"counts": [1]})
    assert change(now, {"title": "b"}).values == {"title": "b"}
    assert change(now, {"stock": 2}).after.stock == 2
    assert refusal(now, {"counts": [2]}) == [("/counts", "extra_forbidden")]
    assert set(Patch[Item].model_json_schema()["properties"]) == {"stock", "title"}


# --- models with an `__init__` of their own ---


class Started(BaseModel):
    leaf: int
    label: str = ""

    def __init__(self, leaf: int, label: str = "of init") -> None:
        super().__init__(leaf=leaf, label=label)


def test_an_init_is_asked_for_what_is_new_and_not_for_what_is_kept():
    now = holder(Started)(one=Started(leaf=1, label="kept"))

    assert change(now, {"one": {"leaf": 2}}).after.one.label == "kept"
    made = change(now, {"named": {"a": {"leaf": 3}}})
    assert made.after.named["a"].label == "of init"

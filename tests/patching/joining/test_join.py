"""What nobody sent, case by case: each row is one kind of thing that a stranger's model does."""

import dataclasses
import json
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from pydantic import (
    MISSING,
    AfterValidator,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PrivateAttr,
    SecretStr,
    Tag,
    ValidationInfo,
    computed_field,
    field_validator,
    model_validator,
)

from roadworthy import patching
from roadworthy.patching import Patch, PatchTestFailed, ReadOnly
from roadworthy.patching.body.read import from_operations
from roadworthy.patching.json_patch.operations import check
from roadworthy.problems import ValidationFailed


def change(current: Any, document: Any) -> Any:
    kind = Patch[type(current)]
    if isinstance(document, list):
        return patching.apply(from_operations(kind, check(document, at_most=100)), current)
    return patching.apply(patching.parse(kind, document), current)


def refusal(current: Any, document: Any) -> list[tuple[str, str]]:
    with pytest.raises(ValidationFailed) as caught:
        change(current, document)
    return [(error.pointer, error.code) for error in caught.value.errors]


def op(name: str, path: str, value: Any = None, *, source: str | None = None) -> dict[str, Any]:
    return {"op": name, "path": path, **({"from": source} if source else {"value": value})}


class Smtp(BaseModel):
    host: str = ""
    password: SecretStr = SecretStr("")


class Site(BaseModel):
    title: str = ""
    smtp: Smtp | None = None
    spare: Smtp | None = None
    relays: list[Smtp] = []
    keys: dict[str, SecretStr] = {}


SITE = Site(
    smtp=Smtp(host="a", password="one"),
    relays=[Smtp(host="b", password="two"), Smtp(host="c", password="three")],
    keys={"k": SecretStr("four")},
)


@pytest.mark.parametrize(
    ("operations", "values"),
    [
        ([op("copy", "/spare", source="/smtp")], {"spare": {"host": "a", "password": "one"}}),
        (
            [op("copy", "/spare", source="/smtp"), op("replace", "/spare/host", "x")],
            {"spare": {"host": "x", "password": "one"}},
        ),
        (
            [op("move", "/spare", source="/relays/0")],
            {
                "spare": {"host": "b", "password": "two"},
                "relays": [{"host": "c", "password": "three"}],
            },
        ),
        ([op("replace", "/smtp", {"host": "x", "password": "new"})], None),
        ([op("add", "/keys/n", "new")], {"keys": {"k": "four", "n": "new"}}),
    ],
)
def test_a_secret_goes_along_with_what_holds_it(operations, values):
    changed = change(SITE, operations)

    assert values is None or changed.values == values
    read = Site.model_validate(
        {name: getattr(SITE, name) for name in Site.model_fields} | changed.values
    )
    assert read == changed.after
    assert "**" not in json.dumps(dict(changed.values))


@pytest.mark.parametrize(
    "operation",
    [
        op("copy", "/title", source="/smtp/password"),
        op("copy", "/smtp/host", source="/smtp/password"),
        op("move", "/title", source="/keys/k"),
        op("copy", "/title", source="/smtp"),
    ],
)
def test_a_secret_cannot_be_read_at_another_place(operation):
    assert [code for _, code in refusal(SITE, [operation])] == ["hidden"]


def test_a_guess_at_a_secret_tells_nothing():
    with pytest.raises(PatchTestFailed):
        change(SITE, [op("test", "/smtp/password", "one")])
    assert change(SITE, [op("test", "/smtp/password", "**********")]).values == {}


def test_a_patch_does_not_show_what_was_sent_in_a_log():
    patch = patching.parse(Patch[Site], {"keys": {"k": "s3cret"}, "smtp": {"password": "s3cret"}})

    assert "s3cret" not in repr(patch)
    assert "smtp" in repr(patch)


class Hook(BaseModel):
    url: str
    token: str = Field("", exclude=True)


class Hooks(BaseModel):
    hook: Hook
    all: list[Hook] = []


@pytest.mark.parametrize(
    ("document", "values"),
    [
        ({"hook": {"url": "b"}}, {"hook": {"url": "b", "token": "t"}}),
        ([op("replace", "/hook", {"url": "b"})], {"hook": {"url": "b", "token": "t"}}),
        ([op("replace", "/all/0", {"url": "b"})], {"all": [{"url": "b", "token": "u"}]}),
    ],
)
def test_what_answers_leave_out_is_not_lost(document, values):
    now = Hooks(hook=Hook(url="a", token="t"), all=[Hook(url="a", token="u")])

    assert change(now, document).values == values


class Account(BaseModel):
    name: str = ""
    password: Annotated[str, AfterValidator(lambda text: f"hash({text})")]
    cents: Annotated[int, BeforeValidator(lambda text: int(text.removesuffix("€")) * 100)] = 0
    prices: dict[str, int] = {}

    @field_validator("prices")
    @classmethod
    def in_cents(cls, value: dict[str, int]) -> dict[str, int]:
        return {name: price * 100 for name, price in value.items()}


ACCOUNT = Account(password="old", cents="1€", prices={"a": 1})


@pytest.mark.parametrize(
    ("document", "values"),
    [
        ({"name": "x"}, {"name": "x"}),
        ({"password": "new"}, {"password": "hash(new)"}),
        ({"cents": "2€"}, {"cents": 200}),
        ({"prices": {"b": 2}}, {"prices": {"a": 100, "b": 200}}),
        ([op("replace", "/password", "new")], {"password": "hash(new)"}),
        ([op("add", "/prices/b", 2)], {"prices": {"a": 100, "b": 200}}),
    ],
    ids=str,
)
def test_validators_run_once_on_what_was_sent(document, values):
    assert change(ACCOUNT, document).values == values


class Span(BaseModel):
    low: int = 0
    high: int = 10
    until: date = date(2020, 1, 1)

    @field_validator("high")
    @classmethod
    def above(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data["low"]:
            raise ValueError("high is below low")
        return value

    @field_validator("until")
    @classmethod
    def ahead(cls, value: date) -> date:
        if value < date(2025, 1, 1):
            raise ValueError("it has passed")
        return value


def test_a_rule_over_several_fields_is_asked_of_an_unsent_one():
    now = Span.model_construct(low=0, high=10, until=date(2020, 1, 1))

    assert change(now, {"low": 5}).values == {"low": 5}
    assert refusal(now, {"low": 11}) == [("/high", "value_error")]
    assert change(now, {"low": 11, "high": 12}).after.high == 12


class Person(BaseModel):
    name: str = ""
    tags: list[str] = []
    age: int = 1

    @model_validator(mode="before")
    @classmethod
    def split(cls, data: Any) -> Any:
        return {**data, "tags": data["tags"].split(","), "name": data["name"].strip()}


class Guarded(BaseModel):
    name: str
    age: int = 1

    @model_validator(mode="before")
    @classmethod
    def tidy(cls, data: Any) -> Any:
        if data["age"] > 150:
            raise ValueError("too old")
        return {**data, "name": data["name"].strip()}

    @model_validator(mode="wrap")
    @classmethod
    def judged(cls, data: Any, handler: Any) -> Any:
        made = handler(data)
        if made.age < 0:
            raise ValueError("too young")
        return made


def test_a_models_own_reader_sees_the_whole_as_in_a_post_or_nothing():
    assert change(Person(name="a", tags="b,c"), {"age": 2}).after.tags == ["b", "c"]
    assert change(Guarded(name="a", age=1), {"name": " b "}).values == {"name": "b"}
    assert refusal(Guarded(name="a", age=1), {"age": 151}) == [("", "value_error")]
    assert refusal(Guarded(name="a", age=1), {"age": -1}) == [("", "value_error")]


class Total(BaseModel):
    kind: Literal["total"] = "total"
    qty: int = 1

    @computed_field
    @property
    def twice(self) -> int:
        return self.qty * 2


class Note(BaseModel):
    kind: Literal["note"] = "note"
    text: str = ""


def tag(value: Any) -> str:
    return value["kind"][0] if isinstance(value, dict) else value.kind[0]


class Order(BaseModel):
    lines: list[Total] = [Total()]
    pair: tuple[Total, ...] = (Total(), Total(qty=2))
    tables: dict[str, list[Total]] = {"a": [Total()]}
    either: Annotated[Total | Note, Field(discriminator="kind")] = Total()
    called: Annotated[
        Annotated[Total, Tag("t")] | Annotated[Note, Tag("n")], Discriminator(tag)
    ] = Total()


@pytest.mark.parametrize(
    "document",
    [
        [op("add", "/lines/-", {"qty": 5})],
        [op("remove", "/pair/0")],
        [op("add", "/tables/a/0", {"qty": 5})],
        {"tables": {"b": [{"qty": 5}]}},
        {"either": {"qty": 5}},
        {"called": {"qty": 5}},
        [op("replace", "/called", {"kind": "note", "text": "x"})],
        {"either": {"kind": "note", "qty": None, "text": "x"}},
    ],
    ids=str,
)
def test_what_is_computed_is_not_read_back(document):
    changed = change(Order(), document)

    assert Order.model_validate(dict(changed.values)) == changed.after


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ([op("add", "/lines/-", {"qty": 5, "twice": 10})], "/lines/1/twice"),
        ([op("replace", "/lines/0/twice", 9)], "/lines/0/twice"),
        ({"called": {"qty": "x"}}, "/called/qty"),
        ({"either": {"qty": "x"}}, "/either/qty"),
        ([op("add", "/tables/a/-", {"qty": "x"})], "/tables/a/1/qty"),
    ],
    ids=str,
)
def test_a_pointer_leads_to_the_fault(document, pointer):
    assert [found for found, _ in refusal(Order(), document)] == [pointer]


class Careless:
    """Metadata of another library, which nobody may hash, compare or call."""

    def _refuse(self, *_: Any) -> Any:
        raise RuntimeError("not yours")

    __eq__ = __call__ = _refuse
    __hash__ = None  # typing itself asks, and goes on


class Marked(BaseModel):
    name: Annotated[str, {"column": "n"}, Careless()] = ""
    smtp: Annotated[Smtp | None, Careless()] = None
    free: Annotated[dict[str, Annotated[int, [1]]], Careless()] = {}


def test_metadata_of_other_libraries_is_left_alone():
    class MarkedPatch(Patch[Marked]):
        name: str | MISSING

    assert patching.parse(MarkedPatch, {"name": "x"}).name == "x"
    assert Patch[Marked] is Patch[Marked]
    assert change(Marked(), {"name": "x", "smtp": {"host": "h"}, "free": {"a": 1}}).after.free == {
        "a": 1
    }


class Frozen(BaseModel):
    id: int = Field(1, frozen=True)
    name: str = ""


class Freezer(BaseModel):
    one: Frozen = Frozen()
    more: dict[str, Frozen] = {}


def test_a_frozen_field_is_taken_once():
    assert refusal(Frozen(), {"id": 2}) == [("/id", "read_only")]
    assert refusal(Freezer(), {"one": {"id": 2}}) == [("/one/id", "read_only")]
    assert refusal(Frozen(), [op("replace", "/id", 2)]) == [("/id", "read_only")]
    assert change(Freezer(), {"more": {"a": {"id": 2}}}).after.more == {"a": Frozen(id=2)}


class Counted(BaseModel):
    n: int = 0
    name: str = ""
    _double: int = PrivateAttr(default=0)

    def model_post_init(self, _: Any) -> None:
        self._double = self.n * 2


def test_private_attributes_are_made_anew():
    assert change(Counted(n=1), {"n": 4}).after._double == 8


class Raw(BaseModel):
    raw: bytes = b"\xff"
    name: str = ""


class Raw64(Raw):
    model_config = ConfigDict(val_json_bytes="base64", ser_json_bytes="base64")


class Bytes(BaseModel):
    one: Raw = Raw()
    other: Raw64 = Raw64()
    name: str = ""


def test_bytes_that_are_no_text_are_kept_or_named():
    assert change(Bytes(), {"name": "x"}).values == {"name": "x"}
    assert change(Bytes(), [op("replace", "/name", "x")]).values == {"name": "x"}
    written = change(Bytes(), {"other": {"name": "x"}})
    assert Bytes.model_validate(dict(written.values)) == written.after
    with pytest.raises(TypeError, match=r"Raw\.raw .*val_json_bytes"):
        change(Bytes(), {"one": {"name": "x"}})


class Unknown:
    pass


class Arbitrary(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    thing: Unknown = Unknown()


class AtAPath(BaseModel):
    leaf: int = Field(1, validation_alias=AliasPath("a", 0))


@dataclasses.dataclass
class Init:
    seed: dataclasses.InitVar[int]
    x: int = 0


@pytest.mark.parametrize(
    ("inner", "line"),
    [
        (Arbitrary, r"Arbitrary\.thing .* JSON form"),
        (AtAPath, r"AtAPath\.leaf .*AliasChoices"),
        (Init, r"Init\.seed is an InitVar"),
    ],
)
@pytest.mark.parametrize("place", ["alone", "listed", "named", "optional"])
def test_what_cannot_be_kept_is_refused_where_the_patch_is_made(inner, line, place):
    annotations = {
        "alone": inner,
        "listed": list[inner],
        "named": dict[str, inner],
        "optional": inner | None,
    }
    space = {"__annotations__": {"field": annotations[place]}, "__module__": __name__}
    holder: Any = type("Holder", (BaseModel,), space)

    with pytest.raises(TypeError, match=line):
        Patch[holder]


def test_a_subclass_in_a_field_of_its_base_is_kept_and_never_cut():
    class More(Smtp):
        port: int = 25

    now = Site(smtp=More(host="a"))
    assert type(change(now, {"title": "x"}).after.smtp) is More
    with pytest.raises(TypeError, match=r"Site\.smtp"):
        change(now, {"smtp": {"host": "b"}})


def test_read_only_holds_inside_of_lists_and_dicts():
    class Row(BaseModel):
        id: Annotated[int, ReadOnly] = 1
        name: str = ""

    class Rows(BaseModel):
        by_name: dict[str, Row] = {"a": Row()}
        rows: list[Row] = [Row()]

    assert refusal(Rows(), {"by_name": {"a": {"id": 2}}}) == [("/by_name/a/id", "read_only")]
    assert refusal(Rows(), [op("replace", "/rows/0/id", 2)]) == [("/rows/0/id", "read_only")]

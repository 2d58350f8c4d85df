"""A pointer leads to the fault, past every label that Pydantic puts into a location."""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

import pytest
from fastapi import Body, Cookie, Depends, FastAPI, Form, Header, Query
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Json,
    RootModel,
    StringConstraints,
    Tag,
    TypeAdapter,
    ValidationError,
    WrapValidator,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypeAliasType, TypedDict

from roadworthy import problems
from roadworthy.problems import field_errors, names_of
from roadworthy.problems.validation.messages import nearest

T = TypeVar("T")


class Cat(BaseModel, extra="forbid"):
    kind: Literal["cat"] = "cat"
    lives: int


class Dog(BaseModel, extra="forbid"):
    kind: Literal["dog"] = "dog"
    speed: int
    puppies: "list[Dog]" = []
    cat: Cat | None = None


class Box(BaseModel, Generic[T]):
    item: T


class Aliased(BaseModel):
    first: int = Field(validation_alias=AliasChoices("x", AliasPath("deep", 0, "z")))
    second: int = Field(1, alias="sec-ond")


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, int | list[int]]


class Typed(TypedDict):
    q: int
    pets: list[Cat | Dog]


class Pair(NamedTuple):
    left: int
    right: list[int]


@dataclass
class Plain:
    size: int
    inner: "Plain | None" = None


@pydantic_dataclass
class Checked:
    size: int | list[int]


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Red(BaseModel):
    colour: Literal[Colour.RED]
    depth: int


class Blue(BaseModel):
    colour: Literal[Colour.BLUE]
    height: int


class One(BaseModel):
    version: Literal[1]
    a: int


class Two(BaseModel):
    version: Literal[2]
    b: int


class Names(BaseModel):
    """Fields that are called as what schemas are made of."""

    type: int
    fields: int
    choices: list[int]
    schema_: int = Field(alias="schema")
    ref: dict[str, int] = {}


Pets = RootModel[list[Cat | Dog]]
Deep = TypeAliasType("Deep", "int | list[Deep]")


def first_letter(value: Any) -> str:
    return str(value.get("kind", "?"))[0] if isinstance(value, dict) else "m"


def passing(value: Any) -> Any:
    return value


ByFunction = Annotated[
    Annotated[Cat, Tag("c")] | Annotated[Dog, Tag("d")] | Annotated[list[int], Tag("m")],
    Discriminator(first_letter),
]
ByField = Annotated[Cat | Dog, Discriminator("kind")]
Short = Annotated[str, StringConstraints(max_length=2)]

FAULTS = [
    (Cat | Dog, {"kind": "cat", "lives": "x"}, {"/lives", "/kind", "/speed"}),
    (ByField, {"kind": "dog", "speed": "x"}, {"/speed"}),
    (ByField, {"kind": "dog", "speed": 1, "puppies": [{"speed": "x"}]}, {"/puppies/0/speed"}),
    # a member that is called as a label is
    (ByField, {"kind": "dog", "speed": 1, "cat": {"lives": "x"}}, {"/cat/lives"}),
    (ByFunction, {"kind": "dog", "speed": "x"}, {"/speed"}),
    (ByFunction, [1, "x"], {"/1"}),
    (list[ByFunction | None], [None, {"kind": "cat", "lives": "x"}], {"/1/lives"}),
    (int | list[int], [1, "x"], {"", "/1"}),
    (Annotated[int, Field(gt=1)] | Short, "xyz", {""}),
    (dict[str, Short | int], {"red": "xyz"}, {"/red"}),
    (
        dict[str, dict[str, ByField]],
        {"a": {"b.c": {"kind": "cat", "lives": "x"}}},
        {"/a/b.c/lives"},
    ),
    (dict[int, int], {"x": 1}, {"/x"}),
    (Box[int] | Box[list[int]], {"item": ["x"]}, {"/item", "/item/0"}),
    (
        list[Box[Cat | Dog]],
        [{"item": {"kind": "cat", "lives": "x"}}],
        {"/0/item/lives", "/0/item/kind", "/0/item/speed"},
    ),
    (
        Box[dict[str, Box[ByField]]],
        {"item": {"k": {"item": {"kind": "cat", "lives": "x"}}}},
        {"/item/k/item/lives"},
    ),
    (Pets, [{"kind": "cat", "lives": "x"}], {"/0/lives", "/0/kind", "/0/speed"}),
    (Pets | int, [{"kind": "cat", "lives": "x"}], {"", "/0/lives", "/0/kind", "/0/speed"}),
    (tuple[int, ByField], [1, {"kind": "cat", "lives": "x"}], {"/1/lives"}),
    (tuple[int, ...] | str, [1, "x"], {"", "/1"}),
    (set[int] | frozenset[int], ["x"], {"/0"}),
    (deque[ByField], [{"kind": "cat", "lives": "x"}], {"/0/lives"}),
    (Sequence[int | str], [[1]], {"/0"}),
    (Mapping[str, Sequence[int]], {"a": ["x"]}, {"/a/0"}),
    (defaultdict[str, int], {"a": "x"}, {"/a"}),
    (Aliased, {"x": "x"}, {"/x"}),
    (Aliased, {"deep": [{"z": "x"}]}, {"/deep/0/z"}),
    (Aliased, {"x": 1, "sec-ond": "x"}, {"/sec-ond"}),
    (Open, {"made.up": "x"}, {"/made.up"}),
    (Open, {"made_up": [1, "x"]}, {"/made_up", "/made_up/1"}),
    (
        Typed,
        {"q": "x", "pets": [{"kind": "dog", "speed": "x"}]},
        {"/q", "/pets/0/speed", "/pets/0/kind", "/pets/0/lives"},
    ),
    (Pair, ["x", [1]], {"/0"}),
    (Pair, {"left": 1, "right": ["x"]}, {"/right/0"}),
    (Plain, {"size": 1, "inner": {"size": "x"}}, {"/inner/size"}),
    (Checked | None, {"size": ["x"]}, {"/size", "/size/0"}),
    (
        Annotated[Red | Blue, Discriminator("colour")],
        {"colour": Colour.RED, "depth": "x"},
        {"/depth"},
    ),
    (Annotated[One | Two, Discriminator("version")], {"version": 2, "b": "x"}, {"/b"}),
    (Json[list[int]] | int, '["x"]', {"", "/0"}),
    (Annotated[list[int], AfterValidator(passing)] | str, ["x"], {"", "/0"}),
    (
        Annotated[Cat, BeforeValidator(passing)] | Dog,
        {"kind": "cat", "lives": "x"},
        {"/lives", "/kind", "/speed"},
    ),
    (
        Annotated[dict[str, Any], WrapValidator(lambda v, _: Dog.model_validate(v))],
        {"kind": "dog", "speed": "x"},
        {"/speed"},
    ),
    (
        Names,
        {"type": "x", "fields": "x", "choices": ["x"], "schema": "x", "ref": {"a": "x"}},
        {"/type", "/fields", "/choices/0", "/schema", "/ref/a"},
    ),
    (Deep, [1, ["x"]], {"", "/1", "/1/0"}),
    (
        Annotated[Cat | Dog, Field(discriminator="kind")] | int | None,
        {"kind": "dog", "speed": "x"},
        {"/speed", ""},
    ),
]


@pytest.mark.parametrize(("kind", "value", "pointers"), FAULTS, ids=range(len(FAULTS)))
def test_labels_are_skipped_and_the_rest_follows(kind, value, pointers):
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(kind).validate_python(value)

    told = {e.pointer for e in field_errors(refused.value.errors(), names=names_of(kind))}

    assert told == pointers


def leads_into(value: Any, pointer: str) -> bool:
    """Tell whether a pointer finds something in the document."""
    for part in pointer.split("/")[1:]:
        if isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict) and part in value:
            value = value[part]
        else:
            return False
    return True


class Item(BaseModel, extra="forbid"):
    quantity: int = 1
    min_order: int = 1
    pet: ByFunction | None = None
    tags: dict[str, int] = {}


def errors_of(document: Any, kind: Any = Item) -> list[problems.FieldError]:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(kind).validate_python(document)
    return field_errors(refused.value.errors(), names=names_of(kind))


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("quantitiy", "quantity"),
        ("Quantity", "quantity"),
        ("minOrder", "min_order"),
        ("min-order", "min_order"),
        ("MIN_ORDER", "min_order"),
        ("colour", None),
        ("q", None),
    ],
)
def test_an_unknown_member_is_named_with_the_nearest_field_as_a_hint(sent, meant):
    (error,) = errors_of({sent: 1})

    assert error.pointer == f"/{sent}"
    hint = f'; did you mean "{meant}"?' if meant else ""
    assert error.message == f"Extra inputs are not permitted{hint}"


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        *(("a" * 64, True), ("a" * 65, False), ("", False), ("a b", False), ("a/b", False)),
        *(("<b>", False), ("größe", False), ("a\n", False), ("a.b-c_D9", True), ("a~b", False)),
        *(("ann@example.org", False), ("'", False), ("[key]", False)),
    ],
)
def test_a_name_that_is_no_harmless_text_is_not_told(sent, told):
    (extra,) = errors_of({sent: 1})
    (key,) = errors_of({"tags": {sent: "x"}})
    (nested,) = errors_of({"pet": {"kind": "cat", "lives": 1, sent: 1}})

    assert extra.pointer == (f"/{sent}" if told else "")
    assert key.pointer == (f"/tags/{sent}" if told else "/tags")
    assert nested.pointer == (f"/pet/{sent}" if told else "/pet")


def test_a_field_of_the_schema_is_told_whatever_it_is_called():
    kind = TypedDict("kind", {"größe in cm/m": int})

    (error,) = errors_of({"größe in cm/m": "x"}, kind)

    assert error.pointer == "/größe in cm~1m"


def test_the_hint_is_of_the_object_that_the_name_stands_in():
    (error,) = errors_of({"pet": {"kind": "dog", "speed": 1, "puppys": []}})

    assert (error.pointer, error.message) == (
        "/pet/puppys",
        'Extra inputs are not permitted; did you mean "puppies"?',
    )


@given(st.text(max_size=2000), st.lists(st.text(min_size=1, max_size=10), max_size=5))
def test_a_hint_is_one_of_the_fields(name, fields):
    assert nearest(name, fields) in {None, *fields}


def test_a_hundred_thousand_unknown_names_are_told_in_time():
    found = errors_of({f"quantit{n}": 1 for n in range(100_000)})

    assert len(found) == 100


MEMBERS = ["kind", "lives", "speed", "puppies", "pet", "tags", "cat", "dog", "x y", "item", "int"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=4)
        ),
    )
)
def test_whatever_is_sent_each_pointer_leads_to_a_place_or_to_what_is_missing_there(document):
    try:
        TypeAdapter(list[Item | ByField | Box[Dog]] | Item).validate_python(document)
    except ValidationError as refused:
        names = names_of(list[Item | ByField | Box[Dog]] | Item)
        for error in field_errors(refused.errors(), names=names):
            holder = error.pointer.rsplit("/", 1)[0]
            assert leads_into(document, error.pointer) or (
                error.code == "missing" and leads_into(document, holder)
            )


class Filters(BaseModel, extra="forbid"):
    limit: int = 1
    sort: int | list[int] = 1


class Sent(BaseModel):
    x_tenant: int = 1
    x_tags: list[int] = []


def with_parameters(app: FastAPI) -> None:
    @app.get("/filters")
    def filters(filters: Annotated[Filters, Query()]) -> None: ...

    @app.get("/json")
    def json(
        where: Annotated[Json[list[int]], Query(alias="w", default_factory=list)],
        each: Annotated[list[Json[int]] | None, Query()] = None,
        x_json: Annotated[Json[dict[str, int]] | None, Header()] = None,
        biscuit: Annotated[Json[int] | None, Cookie()] = None,
        limit: int = 1,
    ) -> None: ...

    @app.get("/headers")
    def headers(sent: Annotated[Sent, Header()]) -> None: ...


def with_forms(app: FastAPI) -> None:
    @app.post("/form")
    def form(data: Annotated[Json[Cat], Form()], n: Annotated[int, Form()]) -> None: ...

    @app.post("/form-model")
    def form_model(data: Annotated[Filters, Form()]) -> None: ...


def with_bodies(app: FastAPI) -> None:
    @app.post("/one")
    def one(pet: Annotated[Cat | Dog, Field(discriminator="kind")]) -> None: ...

    @app.post("/embedded")
    def embedded(cat: Annotated[ByField, Body(embed=True)]) -> None: ...

    def shared(dog: Dog) -> Dog:
        return dog

    @app.post("/several")
    def several(cat: ByField, dog: Annotated[Dog, Depends(shared)]) -> None: ...

    @app.post("/text")
    def text(value: Annotated[Json[list[int]], Body()]) -> None: ...


@pytest.fixture(scope="module")
def client():
    app = FastAPI()
    problems.install(app)
    for add in (with_parameters, with_forms, with_bodies):
        add(app)
    with TestClient(app) as client:
        yield client


def told(answer) -> list[tuple[str, str, str]]:
    assert answer.status_code == 422, answer.text
    details = answer.json()["error"]["details"]
    return [(detail["in"], detail["pointer"], detail["code"]) for detail in details]


def test_parameters_of_a_model_stand_by_themselves(client):
    assert told(client.get("/filters?limit=x&sort=x&limti=1")) == [
        ("query", "/limit", "int_parsing"),
        ("query", "/sort", "int_type"),
        ("query", "/sort/0", "int_parsing"),
        ("query", "/limti", "extra_forbidden"),
    ]


def test_headers_are_pointed_to_as_they_are_written(client):
    headers = [("X-Tenant", "x"), ("X-Tags", "1"), ("X-Tags", "x")]

    assert told(client.get("/headers", headers=headers)) == [
        ("header", "/x-tenant", "int_parsing"),
        ("header", "/x-tags/1", "int_parsing"),
    ]


@pytest.mark.parametrize(
    ("query", "headers", "expected"),
    [
        ("w=[1,", {}, [("query", "/w", "json_invalid")]),
        ("w=[1,%22x%22]", {}, [("query", "/w/1", "int_parsing")]),
        ("each=1&each={", {}, [("query", "/each/1", "json_invalid")]),
        ("limit=x&w=[", {}, [("query", "/w", "json_invalid"), ("query", "/limit", "int_parsing")]),
        ("", {"x-json": "{"}, [("header", "/x-json", "json_invalid")]),
        ("", {"x-json": '{"a":"x"}'}, [("header", "/x-json/a", "int_parsing")]),
        ("", {"cookie": "biscuit=nope"}, [("cookie", "/biscuit", "json_invalid")]),
    ],
)
def test_json_inside_of_a_value_is_a_field_that_does_not_fit(client, query, headers, expected):
    answer = client.get(f"/json?{query}", headers=headers)

    assert told(answer) == expected
    assert answer.json()["error"]["details"][0]["message"]


def test_json_inside_of_a_form_or_a_body_is_a_field_that_does_not_fit(client):
    assert told(client.post("/form", data={"data": "{", "n": "x"})) == [
        ("body", "/data", "json_invalid"),
        ("body", "/n", "int_parsing"),
    ]
    assert told(client.post("/form", data={"data": '{"lives":"x"}', "n": "1"})) == [
        ("body", "/data/lives", "int_parsing")
    ]
    assert told(client.post("/form-model", data={"limit": "x", "lmit": "1"})) == [
        ("body", "/limit", "int_parsing"),
        ("body", "/lmit", "extra_forbidden"),
    ]
    assert told(client.post("/text", json="[1,")) == [("body", "", "json_invalid")]
    assert told(client.post("/text", json='[1,"x"]')) == [("body", "/1", "int_parsing")]


def test_bodies_of_one_and_of_several_parameters_are_told_apart(client):
    cat, dog = {"kind": "cat", "lives": "x"}, {"kind": "dog", "speed": "x"}

    assert told(client.post("/one", json=cat)) == [("body", "/lives", "int_parsing")]
    assert told(client.post("/embedded", json={"cat": cat})) == [
        ("body", "/cat/lives", "int_parsing")
    ]
    assert told(client.post("/several", json={"cat": cat, "dog": dog})) == [
        ("body", "/dog/speed", "int_parsing"),
        ("body", "/cat/lives", "int_parsing"),
    ]


@pytest.mark.parametrize(
    ("path", "pointers"),
    [("/several", ["/dog", "/cat"]), ("/embedded", ["/cat"])],
)
@pytest.mark.parametrize("body", ["null", "{}"])
def test_null_is_a_body_in_which_all_is_missing(client, path, pointers, body):
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})

    assert told(answer) == [("body", pointer, "missing") for pointer in pointers]


@pytest.mark.parametrize("path", ["/several", "/embedded", "/one", "/text"])
@pytest.mark.parametrize("content", [None, b""])
def test_an_empty_body_is_malformed_where_one_is_needed(client, path, content):
    answer = client.post(path, content=content, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.headers["x-error-code"]) == (400, "MALFORMED_BODY")


def test_the_hint_is_of_the_arm_that_refused():
    told = errors_of({"kind": "cat", "lives": 1, "sped": 1}, Cat | Dog)

    messages = {error.message for error in told if error.pointer == "/sped"}
    assert messages == {
        "Extra inputs are not permitted",
        'Extra inputs are not permitted; did you mean "speed"?',
    }

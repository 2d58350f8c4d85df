"""The models that `test_law` keeps: each is odd in one way, under the name `leaf`.

Every one has a `label` beside it, so that there is something else to change.
"""

import dataclasses
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar
from uuid import UUID

import pydantic.dataclasses
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    Base64Bytes,
    Base64Str,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    PlainSerializer,
    PrivateAttr,
    RootModel,
    Secret,
    SecretBytes,
    SecretStr,
    TypeAdapter,
    ValidationInfo,
    WrapValidator,
    computed_field,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

T = TypeVar("T")
CALLS: list[Any] = []
"""What validators of the zoo were called with."""

words = st.text("abxyz", min_size=1, max_size=5)
numbers = st.integers(0, 50)
days = st.dates(date(2000, 1, 1), date(2050, 1, 1)).map(date.isoformat)
decimals = st.decimals(0, 99, places=2).map(str)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Animal:
    kind: Any
    """A model, a dataclass or a typed dict."""
    raw: st.SearchStrategy[Any]
    """JSON that a client may send for the leaf."""
    key: str = "leaf"
    """What input calls it."""
    shown: str | None = "leaf"
    """What answers call it; None where it cannot be reached."""
    hidden: bool = False
    reads_back: bool = True
    """False where the model's own validator does not take what it made."""


ZOO: dict[str, Animal] = {}


def animal(raw: st.SearchStrategy[Any], **more: Any) -> Callable[[Any], Any]:
    def keep(kind: Any) -> Any:
        ZOO[kind.__name__] = Animal(kind=kind, raw=raw, **more)
        return kind

    return keep


def with_leaf(name: str, annotation: Any, raw: st.SearchStrategy[Any], **more: Any) -> None:
    space = {"__annotations__": {"leaf": annotation, "label": str}, "label": ""}
    space["__module__"] = __name__
    if "config" in more:
        space["model_config"] = more.pop("config")
    animal(raw, **more)(type(name, (BaseModel,), space))


class Color(Enum):
    RED = "red"
    BLUE = 2


class Pair(TypedDict, total=False):
    w: date
    h: int


class Spot(NamedTuple):
    x: int
    y: date


@dataclasses.dataclass
class Size:
    width: Decimal
    secret: SecretStr
    height: int = 0


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int
    chip: SecretStr = SecretStr("")


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    born: date


class Words(RootModel[list[date]]):
    pass


class One(RootModel[Decimal]):
    pass


with_leaf("Number", int, numbers)
with_leaf("Day", date, days)
with_leaf("Money", Decimal, decimals)
with_leaf("Key", UUID, st.uuids().map(str))
with_leaf("Lasting", timedelta, numbers.map("PT{}S".format))
with_leaf("Coloured", Color, st.sampled_from(["red", 2]))
with_leaf(
    "Raw",
    bytes,
    st.sampled_from(["", "YWJj", "_w=="]),
    config=ConfigDict(val_json_bytes="base64", ser_json_bytes="base64"),
)
with_leaf("Text", SecretStr, words, hidden=True)
with_leaf("Bytes", SecretBytes, words, hidden=True)
with_leaf("SecretDay", Secret[date], days, hidden=True)
with_leaf("Parsed", Json[dict[str, int]], st.sampled_from(['{"a":1}', "{}"]))
with_leaf("Encoded", Base64Str, st.sampled_from(["YWJjZA==", "eHl6"]))
with_leaf("EncodedBytes", Base64Bytes, st.sampled_from(["YWJjZA==", "eHl6"]))
with_leaf("Dates", list[date], st.lists(days, max_size=2))
with_leaf("Prices", dict[str, Decimal], st.dictionaries(words, decimals, max_size=2))
with_leaf("ByNumber", dict[int, date], st.dictionaries(numbers.map(str), days, max_size=2))
with_leaf("Numbers", set[int], st.lists(numbers, max_size=3))
with_leaf("Fixed", tuple[int, date], st.tuples(numbers, days).map(list))
with_leaf("Many", tuple[SecretStr, ...], st.lists(words, max_size=2), hidden=True)
with_leaf("Named", Spot, st.tuples(numbers, days).map(list))
with_leaf("Typed", Pair, st.fixed_dictionaries({"w": days}, optional={"h": numbers}))
with_leaf("Sized", Size, st.fixed_dictionaries({"width": decimals, "secret": words}), hidden=True)
with_leaf("Rooted", Words, st.lists(days, max_size=2))
with_leaf("RootedOne", One, decimals)
with_leaf("Maybe", date | None, days | st.none())
cats = st.fixed_dictionaries({"kind": st.just("cat"), "lives": numbers, "chip": words})
dogs = st.fixed_dictionaries({"kind": st.just("dog"), "born": days})
with_leaf("Tagged", Annotated[Cat | Dog, Field(discriminator="kind")], cats | dogs, hidden=True)
with_leaf("Either", Dog | Cat | int, cats | dogs | numbers, hidden=True)
with_leaf("Loose", Any, st.dictionaries(words, numbers, max_size=2) | numbers)
with_leaf("Hooked", Annotated[str, Field(exclude=True)], words, shown=None, hidden=True)
with_leaf(
    "Split",
    Annotated[date, Field(validation_alias="number", serialization_alias="no")],
    days,
    key="number",
    shown="no",
)
with_leaf(
    "Chosen",
    Annotated[int, Field(validation_alias=AliasChoices("first", "second", AliasPath("a", 0)))],
    numbers,
    key="first",
)
with_leaf("Camel", Annotated[int, Field(alias="theLeaf")], numbers, key="theLeaf", shown="theLeaf")
with_leaf("Masked", Annotated[str, PlainSerializer(lambda _: "***")], words, hidden=True)


def hundred(value: Any) -> int:
    CALLS.append(value)
    assert isinstance(value, str), "takes only raw text"
    return int(value) * 100


def around(value: Any, handler: Callable[[Any], Any]) -> Any:
    CALLS.append(value)
    return handler(value.removeprefix("raw:")) + "!"


def hashed(value: str) -> str:
    CALLS.append(value)
    return f"hash({value})"


with_leaf("Converted", Annotated[int, BeforeValidator(hundred)], numbers.map(str), reads_back=False)
with_leaf(
    "Wrapped", Annotated[str, WrapValidator(around)], words.map("raw:{}".format), reads_back=False
)
with_leaf("Hashed", Annotated[str, AfterValidator(hashed)], words, reads_back=False)


with_leaf("Priced", Annotated[Decimal, BeforeValidator(lambda v: Decimal(str(v)))], decimals)


@animal(words, reads_back=False)
class Informed(BaseModel):
    label: str = ""
    leaf: str

    @field_validator("leaf")
    @classmethod
    def salted(cls, value: str, info: ValidationInfo) -> str:
        # It could be a rule over several fields: it is asked again, and its answer dropped.
        return f"{value}+{info.data is not None}"


@animal(words, reads_back=False)
class SplitUp(BaseModel):
    leaf: list[str]
    label: str = ""

    @field_validator("leaf", mode="before")
    @classmethod
    def split(cls, value: str) -> list[str]:
        CALLS.append(value)
        return value.split("b")


@animal(days, hidden=True)
class German(BaseModel):
    leaf: date
    label: str = ""

    @field_serializer("leaf")
    def german(self, value: date) -> str:
        return value.strftime("%d.%m.%Y")


@animal(numbers)
class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    leaf: int
    label: str = ""

    @computed_field
    @property
    def twice(self) -> int:
        return self.leaf * 2


@animal(words, shown=None, hidden=True)
class Flat(BaseModel):
    leaf: SecretStr
    label: str = ""

    @model_serializer(mode="plain")
    def flat(self) -> str:
        return f"<{self.label}>"


@animal(numbers)
class More(BaseModel):
    leaf: int
    label: str = ""

    @model_serializer(mode="wrap")
    def more(self, handler: Any) -> Any:
        return {**handler(self), "more": True}


@animal(words, key="fullName", shown="fullName")
class Tidy(BaseModel):
    model_config = ConfigDict(alias_generator=lambda n: "fullName" if n == "leaf" else to_camel(n))
    leaf: str
    label: str = ""

    @model_validator(mode="before")
    @classmethod
    def tidy(cls, data: Any) -> Any:
        return {**data, "fullName": data["fullName"].strip()}


@animal(numbers)
class Judged(BaseModel):
    leaf: int
    label: str = ""

    @model_validator(mode="wrap")
    @classmethod
    def judged(cls, data: Any, handler: Any) -> Any:
        made = handler(data)
        if made.leaf > 1000:
            raise ValueError("too much")
        return made


@animal(numbers)
class Private(BaseModel):
    leaf: int
    label: str = ""
    _double: int = PrivateAttr(default=0)

    def model_post_init(self, _: Any) -> None:
        self._double = self.leaf * 2


@animal(numbers, shown=None)
class Frozen(BaseModel):
    leaf: int = Field(frozen=True)
    label: str = ""


@animal(numbers)
class Icy(BaseModel):
    model_config = ConfigDict(frozen=True)
    leaf: int
    label: str = ""


@animal(numbers, hidden=True)
class Conditional(BaseModel):
    leaf: int = Field(exclude_if=lambda value: value > 10)
    label: str = ""


@animal(words, shown=None, hidden=True)
class Emptied(BaseModel):
    leaf: SecretStr = Field(exclude_if=lambda _: True)
    label: str = ""


@animal(numbers)
class Started(BaseModel):
    """A model with an `__init__` of its own."""

    leaf: int
    label: str = ""

    def __init__(self, **data: Any) -> None:
        CALLS.extend(v for v in data.values() if isinstance(v, str))
        super().__init__(**data)


@animal(numbers)
@dataclasses.dataclass(slots=True)
class Slotted:
    leaf: int
    label: str = ""


@animal(words, hidden=True)
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class IcySlotted:
    leaf: SecretStr
    label: str = ""


@animal(days)
@pydantic.dataclasses.dataclass(config=ConfigDict(extra="forbid"))
class Stamped:
    leaf: date
    label: str = ""
    version: int = dataclasses.field(init=False, default=1)
    notes: list[str] = dataclasses.field(init=False, default_factory=list)


@animal(numbers)
@dataclasses.dataclass(slots=True)
class Doubled:
    leaf: int
    label: str = ""
    double: int = dataclasses.field(init=False, default=0)
    triple: int = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.double, self.triple = self.leaf * 2, self.leaf * 3


class Spelt(TypedDict, total=False):
    leaf: Annotated[date, Field(alias="theLeaf")]
    label: str


ZOO["Spelt"] = Animal(kind=Spelt, raw=days, key="theLeaf", shown="theLeaf")


class Respelt(TypedDict):
    leaf: Annotated[
        int, Field(validation_alias=AliasChoices("first", "second"), serialization_alias="out")
    ]
    label: Annotated[str, Field(serialization_alias="label")]


ZOO["Respelt"] = Animal(kind=Respelt, raw=numbers, key="first", shown="out")


class Page(BaseModel, Generic[T]):
    leaf: T
    label: str = ""


ZOO["Page"] = Animal(kind=Page[SecretStr], raw=words, hidden=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Home:
    """An entity that holds one animal at every place."""

    animal: Animal
    kind: type[BaseModel]

    @property
    def whole(self) -> bool:
        """Whether the entity is one of its kind itself."""
        return self.kind.__mro__[1] is self.animal.kind


def home(animal: Animal) -> Home:
    box: Any = animal.kind

    class Entity(BaseModel):
        title: str = ""
        nested: box
        maybe: box | None = None
        listed: list[box] = []
        named: dict[str, box] = {}
        deep: dict[str, list[box]] = {}
        several: tuple[box, ...] = ()

    if not _plain(box):
        return Home(animal=animal, kind=Entity)
    return Home(animal=animal, kind=type("Entity", (box, Entity), {"__module__": __name__}))


def read(kind: Any, raw: Any) -> Any:
    """What a POST of it makes."""
    return TypeAdapter(kind).validate_python(raw)


def _plain(box: Any) -> bool:
    if not (isinstance(box, type) and issubclass(box, BaseModel)):
        return False
    # A validator or serializer of the whole would have to know the other fields.
    found = box.__pydantic_decorators__
    return not (found.model_validators or found.model_serializers or box is Private)

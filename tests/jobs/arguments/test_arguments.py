"""Arguments come back as they were, and equal ones have one key, in every process."""

import asyncio
import enum
import json
import os
import subprocess
import sys
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Annotated, Any, Generic, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AliasChoices,
    AliasPath,
    AnyUrl,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    FutureDate,
    FutureDatetime,
    Json,
    PastDate,
    PastDatetime,
    RootModel,
    computed_field,
)
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

from jobs.opened import database, rows
from roadworthy.jobs import ArgumentsMistaken, Jobs, task
from roadworthy.testing import Clock, Worker

T = TypeVar("T")


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)
    order_id: int
    placed_at: datetime | None = None


class Renamed(BaseModel):
    value: str = Field(validation_alias="v")


class Choices(BaseModel):
    value: str = Field(validation_alias=AliasChoices("first", AliasPath("deep", 0)))


class Written(BaseModel):
    model_config = ConfigDict(serialize_by_alias=True)
    value: str = Field(serialization_alias="written")


class Swapped(BaseModel):
    a: int = Field(alias="b")
    b: int = Field(alias="a")


class Keyword(BaseModel):
    class_: str = Field(alias="class")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int

    @computed_field
    def twice(self) -> int:
        return 2 * self.a


class Typed(BaseModel):
    j: Json[list[int]]


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


class Items(RootModel[list[Camel]]): ...


class Box(BaseModel, Generic[T]):
    inner: T
    tags: set[str] = set()


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


class Point(NamedTuple):
    x: int
    y: int = 0


class Row(TypedDict, total=False):
    id: int
    at: datetime


@dataclass
class Parcel:
    to: str
    weights: list[Decimal] = field(default_factory=list)


VALUES = [
    (Camel, Camel(orderId=1)),
    (Renamed, Renamed(v="x")),
    (Choices, Choices(first="x")),
    (Choices, Choices.model_validate({"deep": ["x"]})),
    (Written, Written(value="x")),
    (Swapped, Swapped(b=1, a=2)),
    (Keyword, Keyword(**{"class": "x"})),
    (Strict, Strict(a=1)),
    (Typed, Typed(j="[1]")),
    (Json[dict[str, int]], '{"a": 1}'),
    (Open, Open(a=1, b=[1, None])),
    (Items, Items([Camel(orderId=1)])),
    (Box[Strict], Box[Strict](inner=Strict(a=1), tags={"x", "y"})),
    (list[Camel], [Camel(orderId=1)]),
    (dict[str, Strict], {"a": Strict(a=1)}),
    (Camel | None, None),
    (Camel | Renamed, Renamed(v="x")),
    (tuple[Camel, Typed], (Camel(orderId=1), Typed(j="[1]"))),
    (set[Size], {Size.SMALL, Size.LARGE}),
    (dict[Size, int], {Size.SMALL: 1}),
    (frozenset[Point], frozenset({Point(1), Point(2, 3)})),
    (Row, {"id": 1}),
    (Parcel, Parcel("ann", [Decimal("1.50")])),
    (deque[int], deque([1, 2])),
    (UUID, UUID(int=7)),
    (PurePosixPath, PurePosixPath("/a/b")),
    (AnyUrl, AnyUrl("https://example.com/?a=1")),
    (timedelta, timedelta(days=-1, microseconds=1)),
    (bytes, b"text"),
    (Any, {"a": [1, 2.5, "x", None, True]}),
]


def taking(hint, default=...):
    async def take(value) -> None: ...

    take.__annotations__ = {"value": hint}
    if default is not ...:
        take.__defaults__ = (default,)
    return take


class TestComingBack:
    @pytest.mark.parametrize(("hint", "value"), VALUES)
    def test_whatever_is_valid_is_equal_when_it_is_read(self, hint, value):
        declared = task(name="take")(taking(hint))
        checked = declared.signature.stored.validate_python({"value": value})

        read = declared.signature.load(declared.call(value=value).arguments)

        assert read == checked
        assert type(read["value"]) is type(checked["value"])

    @pytest.mark.parametrize(
        ("hint", "text"),
        [
            (Camel, '{"value":{"order_id":1}}'),
            (Camel, '{"value":{"orderId":1}}'),
            (Camel, '{"value":{"order_id":1,"placedAt":null}}'),
            (list[Camel], '{"value":[{"orderId":1}]}'),
            (Written, '{"value":{"value":"x"}}'),
            (Keyword, '{"value":{"class":"x"}}'),
        ],
    )
    def test_jobs_that_wait_may_be_written_by_name_or_by_alias(self, hint, text):
        assert task(name="take")(taking(hint)).signature.load(text)["value"]

    def test_what_would_be_lost_stays_refused(self):
        class Secretive(BaseModel):
            shown: int
            hidden: int = Field(default=0, exclude=True)

        declared = task(name="take")(taking(Secretive))

        declared.call(value=Secretive(shown=1))
        with pytest.raises(ArgumentsMistaken, match="value would not be the same"):
            declared.call(value=Secretive(shown=1, hidden=2))

    @given(st.data())
    def test_models_of_every_make_come_back(self, data):
        hint, value = data.draw(st.sampled_from(MADE))
        made = data.draw(value)
        declared = task(name="take")(taking(hint))

        assert declared.signature.load(declared.call(value=made).arguments) == {"value": made}


_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
_camels = st.builds(Camel, orderId=st.integers(-(2**60), 2**60))
MADE = [
    (list[Camel], st.lists(_camels, max_size=3)),
    (dict[str, Renamed], st.dictionaries(_texts, st.builds(Renamed, v=_texts), max_size=3)),
    (Swapped, st.builds(Swapped, a=st.integers(0, 9), b=st.integers(0, 9))),
    (Strict | None, st.none() | st.builds(Strict, a=st.integers(0, 9))),
    (Box[Keyword], st.builds(Box[Keyword], inner=st.builds(Keyword, **{"class": _texts}))),
    (Typed, st.builds(Typed, j=st.lists(st.integers(0, 9)).map(json.dumps))),
    (set[Decimal], st.sets(st.decimals(allow_nan=False, allow_infinity=False), max_size=3)),
    (dict[int, frozenset[date]], st.dictionaries(st.integers(), st.frozensets(st.dates()))),
]

BERLIN, LORD_HOWE = ZoneInfo("Europe/Berlin"), ZoneInfo("Australia/Lord_Howe")
CHANGES = [
    *(datetime(2026, 10, 25, 2, minute, tzinfo=BERLIN, fold=fold) for minute in (0, 30, 59)
      for fold in (0, 1)),
    datetime(2026, 10, 25, 1, 59, tzinfo=BERLIN),
    datetime(2026, 3, 29, 2, 30, tzinfo=BERLIN),
    datetime(2026, 3, 29, 2, 30, tzinfo=BERLIN, fold=1),
    datetime(2026, 4, 5, 1, 45, tzinfo=LORD_HOWE),
    datetime(2026, 4, 5, 1, 45, tzinfo=LORD_HOWE, fold=1),
    datetime(2026, 10, 4, 2, 15, tzinfo=LORD_HOWE),
]  # fmt: skip


class Remind(BaseModel):
    at: datetime
    also: set[datetime] = set()


@dataclass
class Alarm:
    at: datetime


WRAPPED = {
    "itself": (datetime, lambda at: at, lambda got: got),
    "aware": (AwareDatetime, lambda at: at, lambda got: got),
    "in a list": (list[datetime], lambda at: [at], lambda got: got[0]),
    "in a dict": (dict[str, datetime], lambda at: {"a": at}, lambda got: got["a"]),
    "as a key": (dict[datetime, int], lambda at: {at: 1}, lambda got: next(iter(got))),
    "in a set": (set[datetime], lambda at: {at}, lambda got: next(iter(got))),
    "in a frozenset": (frozenset[datetime], lambda at: {at}, lambda got: next(iter(got))),
    "in a tuple": (tuple[int, datetime], lambda at: (1, at), lambda got: got[1]),
    "in a tuple in a set": (
        set[tuple[int, datetime]],
        lambda at: {(1, at)},
        lambda got: next(iter(got))[1],
    ),
    "in a model": (Remind, lambda at: Remind(at=at, also={at}), lambda got: got.at),
    "in a dataclass": (Alarm, Alarm, lambda got: got.at),
    "in a TypedDict": (Row, lambda at: {"at": at}, lambda got: got["at"]),
    "or none": (datetime | None, lambda at: at, lambda got: got),
}


class TestTimes:
    @pytest.mark.parametrize("at", CHANGES, ids=str)
    @pytest.mark.parametrize("where", WRAPPED)
    def test_a_time_in_an_hour_that_comes_twice_or_never_is_the_same_moment(self, where, at):
        hint, wrap, unwrap = WRAPPED[where]
        declared = task(name="take")(taking(hint))

        read = declared.signature.load(declared.call(value=wrap(at)).arguments)

        assert unwrap(read["value"]).astimezone(UTC) == at.astimezone(UTC)

    @given(st.datetimes(timezones=st.timezones(), allow_imaginary=True))
    def test_a_time_of_any_zone_is_the_same_moment_or_is_refused(self, at):
        declared = task(name="take")(taking(datetime))
        try:
            text = declared.call(value=at).arguments
        except ArgumentsMistaken:
            assert at.utcoffset().total_seconds() % 60, (
                "only seconds of an offset cannot be written"
            )
            return

        read = declared.signature.load(text)["value"]

        assert (
            read.replace(tzinfo=None) - read.utcoffset() == at.replace(tzinfo=None) - at.utcoffset()
        )

    def test_half_a_minute_of_an_offset_is_not_lost_in_silence(self):
        declared = task(name="take")(taking(datetime))

        with pytest.raises(ArgumentsMistaken, match="would not be the same"):
            declared.call(value=datetime(1880, 1, 1, tzinfo=BERLIN))

    @pytest.mark.parametrize(
        ("hint", "value"),
        [
            (FutureDatetime, datetime(2030, 1, 2, tzinfo=UTC)),
            (FutureDate, date(2030, 1, 2)),
            (list[FutureDatetime], [datetime(2030, 1, 2, tzinfo=UTC)]),
            (FutureDatetime | None, datetime(2030, 1, 2, tzinfo=UTC)),
            (
                Annotated[FutureDatetime, Field(description="when")],
                datetime(2030, 1, 2, tzinfo=UTC),
            ),
        ],
    )
    def test_what_was_in_the_future_when_it_was_enqueued_is_read_when_it_is_not(self, hint, value):
        declared = task(name="take")(taking(hint))
        text = declared.call(value=value).arguments

        assert declared.signature.load(text.replace("2030", "2020"))["value"] is not None
        with pytest.raises(ArgumentsMistaken, match="future"):
            declared.signature.dump((), json.loads(text.replace("2030", "2020")))

    @pytest.mark.parametrize("hint", [PastDatetime, PastDate])
    def test_a_clock_that_went_back_makes_no_past_the_future(self, hint):
        declared = task(name="take")(taking(hint))
        text = declared.call(value=date(2020, 1, 2)).arguments

        assert declared.signature.load(text.replace("2020", "2090"))["value"].year == 2090

    async def test_it_runs_in_models_too(self, database_url):
        class Appointment(BaseModel):
            at: FutureDatetime

        ran = []

        @task(name="remind")
        async def remind(appointment: Appointment, more: dict[str, Appointment]) -> None:
            ran.append(appointment.at)

        async with database(database_url) as db:
            soon = datetime.now(UTC) + timedelta(seconds=1)
            async with db.begin() as tx:
                appointment = Appointment(at=soon)
                await remind.options(run_at=soon).enqueue(tx, appointment, {"a": appointment})
            with Clock(soon + timedelta(hours=1)):
                await asyncio.sleep(1.1)
                await Worker(Jobs(db, tasks=[remind], run=False)).run_due()

        assert ran == [soon]


def keys(hint, *values, default=...):
    declared = task(name="take", unique="queued")(taking(hint, default))
    return [declared.call(*(() if value is ... else (value,))).argument_key for value in values]


class TestUnique:
    @pytest.mark.parametrize(
        ("hint", "values"),
        [
            (dict[str, int], [{"a": 1, "b": 2}, {"b": 2, "a": 1}]),
            (Any, [{"a": {"x": 1, "y": [2]}}, {"a": {"y": [2], "x": 1}}]),
            (list[dict[str, set[int]]], [[{"a": {1, 9}, "b": {2}}], [{"b": {2}, "a": {9, 1}}]]),
            (set[Size], [{Size.SMALL, Size.LARGE}, {Size.LARGE, Size.SMALL}, ["l", "s"]]),
            (Decimal, [Decimal("1.0"), Decimal("1.00"), 1, Decimal("0.1e1")]),
            (Any, [1, 1.0]),
            (float, [0.0, -0.0, 0]),
            (datetime, [datetime(2026, 1, 1, tzinfo=UTC),
                        datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))]),
            (Box[int], [Box[int](inner=1, tags={"a", "b"}), {"inner": "1", "tags": ["b", "a"]}]),
            (Camel, [Camel(orderId=1), Camel(orderId=1, placedAt=None)]),
            (UUID, [UUID(int=7), str(UUID(int=7))]),
            (Parcel, [Parcel("a", [Decimal(1)]), Parcel("a", [Decimal("1.0")])]),
        ],
    )  # fmt: skip
    def test_equal_values_have_one_key(self, hint, values):
        assert len(set(keys(hint, *values))) == 1

    @pytest.mark.parametrize(
        ("hint", "values"),
        [
            (Any, [1, "1", True, None, [1], {"a": 1}, {"1": 1}, 1.5, [[1]], ["1"], {}, []]),
            (list[int], [[1, 2], [2, 1], [1, 1, 2], []]),
            (Any, [{"a": None}, {}, {"a": {}}, {"a": []}]),
            (dict[str, Any], [{"a": 1, "b": 2}, {"a": 2, "b": 1}]),
            (datetime, [datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1)]),  # noqa: DTZ001
            (datetime, [CHANGES[0], CHANGES[1]]),
            (time, [time(1), time(1, 0, 1)]),
            (timedelta, [timedelta(1), timedelta(1, microseconds=1)]),
            (float, [0.1, 0.10000000000000002, 1e22, 1e23, -1.0, 1.0, 10.0]),
            (Decimal, [Decimal("0.1"), Decimal("0.01"), Decimal("-0.1"), Decimal("1e30")]),
            (set[int], [{1}, {1, 2}, set()]),
            (str, ["a", "A", "a ", "ä", "a\u0308"]),
            (bool | int, [True, 1, False, 0]),
        ],
    )
    def test_what_differs_has_another_one(self, hint, values):
        assert len(set(keys(hint, *values))) == len(values)

    @pytest.mark.parametrize(
        ("hint", "default", "given"),
        [
            (str, "en", "en"),
            (Decimal, 0, Decimal("0.00")),
            (Size, "s", Size.SMALL),
            (set[int], frozenset(), set()),
            (date | None, None, None),
            (dict[str, int], {}, {}),
        ],
    )
    def test_a_default_that_is_given_is_the_default(self, hint, default, given):
        left_out, same = keys(hint, ..., given, default=default)

        assert left_out == same

    @given(st.dictionaries(st.integers(), st.sets(_texts)))
    def test_no_order_of_making_matters(self, value):
        turned = dict(reversed(value.items()))

        assert len(set(keys(dict[int, set[str]], value, turned))) == 1

    def test_it_is_the_same_in_every_process(self):
        found = {
            subprocess.run(
                [sys.executable, "-c", _PRINTS_A_KEY],
                env={**os.environ, "PYTHONHASHSEED": seed},
                check=True,
                capture_output=True,
            ).stdout
            for seed in ("1", "2", "3", "4")
        }

        assert len(found) == 1

    async def test_one_job_is_made_for_equal_arguments(self, database_url):
        @task(name="index", unique="queued")
        async def index(words: set[str], limits: dict[str, int], lang: str = "en") -> None: ...

        async with database(database_url) as db:
            async with db.begin() as tx:
                made = [
                    await index.enqueue(tx, {"a", "b"}, {"x": 1, "y": 2}),
                    await index.enqueue(tx, {"b", "a"}, {"y": 2, "x": 1}),
                    await index.enqueue(tx, {"b", "a"}, {"y": 2, "x": 1}, "en"),
                    await index.enqueue(tx, {"b", "a"}, {"y": 2, "x": 1}, "de"),
                ]
            assert [one.created for one in made] == [True, False, False, True]
            assert len(await rows(db)) == 2


_PRINTS_A_KEY = """
from roadworthy.jobs import task
@task(name="index", unique="queued")
async def index(words: set[str], deep: dict[str, list[frozenset[str]]]) -> None: ...
words = {"bolt", "nut", "screw", "nail"}
print(index.call(words, {"a": [frozenset(words)]}).argument_key)
"""

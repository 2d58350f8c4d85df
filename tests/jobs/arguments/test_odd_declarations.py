"""What is odd is refused where it is declared, in words that say what to type."""

from enum import Enum, IntEnum
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel, BeforeValidator, PlainSerializer

from jobs.opened import database, rows
from roadworthy.database import Database
from roadworthy.jobs import Cron, Embedded, Jobs, Task, task
from roadworthy.patching import Patch

DB = Database("sqlite://")


class Item(BaseModel):
    name: str
    count: int = 0


class Pair(Enum):
    ONE = (1, 2)
    TWO = "two"


class Thing(Enum):
    ONE = object()


class Mixed(Enum):
    ONE = "1"
    TWO = 2
    THREE = None
    FOUR = [4]  # noqa: RUF012 - a value, and nobody changes it


class Number(IntEnum):
    ONE = 1


Spelled = Annotated[
    Pair,
    PlainSerializer(lambda it: it.name),
    BeforeValidator(lambda it: it if isinstance(it, Pair) else Pair[it]),
]


@task(name="odd.fine")
async def fine() -> None: ...


def function() -> None: ...


class Desk:
    @task(name="odd.method")
    async def method(self, order_id: str) -> None: ...

    @staticmethod
    @task(name="odd.static")
    async def static(order_id: str) -> None: ...


def taking(kind: object) -> Task[...]:
    def take(value): ...

    take.__annotations__ = {"value": kind}
    return task(name="odd.take")(take)


@pytest.mark.parametrize(
    "given",
    [
        function,
        "odd.fine",
        fine.call(),
        fine.options(priority=1),
        Task,
        None,
        fine.function,
    ],
)
def test_what_is_no_task_is_refused_by_jobs_and_says_what_to_write(given):
    with pytest.raises(TypeError, match=r"tasks.*@task"):
        Jobs(DB, tasks=[fine, given])


@pytest.mark.parametrize("given", [fine, None, 5, "odd.fine"])
def test_one_task_is_no_list_of_them(given):
    with pytest.raises(TypeError, match=r"tasks=\[send_confirmation\]"):
        Jobs(DB, tasks=given)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"engine": Embedded}, r"engine=Embedded\(\)"),
        ({"engine": "celery"}, r"engine=Embedded\(\)"),
        ({"on_failure": "log"}, "on_failure"),
        ({"on_dead": 5}, "on_dead"),
        ({"parts": DB}, r"parts=\["),
    ],
)
def test_the_rest_of_jobs_is_looked_at_too(wrong, says):
    with pytest.raises(TypeError, match=says):
        Jobs(DB, tasks=[fine], **wrong)


@pytest.mark.parametrize("wrong", [5, None, ["0", "3", "*", "*", "*"], b"0 3 * * *", Cron])
def test_a_cron_of_no_text_says_what_one_is(wrong):
    with pytest.raises(TypeError, match=r"expression.*'0 3 \* \* \*'"):
        Cron(wrong)


@pytest.mark.parametrize("wrong", [5, None, ZoneInfo("UTC")])
def test_nor_is_a_zone_other_than_its_name(wrong):
    with pytest.raises(TypeError, match=r"zone.*'Europe/Berlin'"):
        Cron("0 3 * * *", zone=wrong)


@pytest.mark.parametrize("wrong", [5, None, [], "both"])
def test_days_are_or_or_and(wrong):
    with pytest.raises(ValueError, match="'or'"):
        Cron("0 3 * * *", days=wrong)


@pytest.mark.parametrize("kind", [Pair, Thing, list[Pair], dict[str, Pair], Pair | None])
def test_an_enum_that_json_cannot_give_back_is_refused_and_its_member_named(kind):
    with pytest.raises(TypeError, match=r"value may be (Pair|Thing)\.ONE.*ONE = \"one\""):
        Jobs(DB, tasks=[taking(kind)])


@pytest.mark.parametrize("kind", [Mixed, Number, list[Mixed], Literal[Mixed.ONE], Spelled])
def test_other_enums_are_taken(kind):
    assert taking(kind).signature.positional == ("value",)


@pytest.mark.parametrize("member", list(Mixed))
def test_and_their_members_come_back(member):
    declared = taking(Mixed)
    assert declared.signature.load(declared.call(member).arguments) == {"value": member}


@pytest.mark.parametrize("kind", [BaseModel, list[BaseModel], BaseModel | None])
def test_a_model_of_no_fields_is_refused(kind):
    with pytest.raises(TypeError, match="name the model itself"):
        Jobs(DB, tasks=[taking(kind)])


def test_and_so_is_a_patch_of_it():
    with pytest.raises(TypeError, match="takes a Pydantic model with fields"):
        Patch[BaseModel]


def test_a_method_is_told_to_be_a_function():
    with pytest.raises(TypeError, match=r"`self` has no type.*@staticmethod"):
        Jobs(DB, tasks=[Desk.method])
    assert Jobs(DB, tasks=[Desk.static]).tasks == (Desk.static,)


NAMES = ["self", "cls", "tx", "task", "name", "function", "call", "args", "kwargs", "arguments"]


@pytest.mark.parametrize("name", NAMES)
async def test_a_parameter_may_have_any_name(database_url, name):
    made: dict[str, Task[...]] = {}
    source = f"async def take({name}: str) -> None: ..."
    exec(source, made)
    declared = task(name="odd.name")(made["take"])
    async with database(database_url) as db:
        async with db.begin() as tx:
            await declared.enqueue(tx, **{name: "a"})
            await declared.options(priority=1).enqueue(tx, "a")
        assert [row.arguments for row in await rows(db)] == [f'{{"{name}":"a"}}'] * 2

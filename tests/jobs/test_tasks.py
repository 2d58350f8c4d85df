"""Declaring tasks, and what becomes of their arguments."""

import enum
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncSession

from jobs import later
from jobs.opened import database, rows, running
from roadworthy.database import Database, Tx
from roadworthy.jobs import ArgumentsMistaken, Backoff, Cron, Every, Job, Jobs, Task, task
from support.polling import until_async as until
from support.postgres import database_on

RECEIVED: dict[str, Any] = {}


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Line(BaseModel):
    item: str
    quantity: int = Field(ge=1)
    price: Decimal
    weight: float | None = None


@dataclass
class Address:
    city: str
    since: date
    height: float | None = None


@task
async def plain(order_id: str) -> None:
    """Send it."""
    RECEIVED["plain"] = order_id


@task()
def threaded(order_id: str, copies: int = 1) -> None: ...


@task
async def everything(
    text: str,
    count: int,
    amount: Decimal,
    at: datetime,
    uuid: UUID,
    size: Size,
    line: Line,
    address: Address,
    lines: list[Line],
    named: dict[str, int],
    nothing: str | None,
    ratio: float,
    anything: Any,
) -> None:
    RECEIVED["everything"] = dict(locals())


@task
async def loose(value: Any = None, ratio: float = 0.0, line: Line | None = None) -> None:
    RECEIVED["loose"] = value


@task
async def typed(words: list[str], counts: dict[str, int], at: datetime, amount: Decimal) -> None:
    RECEIVED["typed"] = {"words": words, "counts": counts, "at": at, "amount": amount}


@pytest.fixture(scope="module")
def postgres_url(postgres_server: str) -> Iterator[str]:
    """One database for all tests of this file: making one takes longer than a test."""
    with database_on(postgres_server) as url:
        yield url


class TestDeclaring:
    def test_a_task_may_be_declared_with_and_without_parentheses(self):
        assert isinstance(plain, Task)
        assert isinstance(threaded, Task)

    def test_a_task_is_stored_under_its_module_and_name(self):
        assert plain.name == f"{__name__}.plain"
        assert plain.__doc__ == "Send it."
        assert repr(plain) == f"Task('{__name__}.plain')"

    def test_a_name_of_its_own_survives_that_the_function_moves(self):
        declared = task(name="mails.confirm")(plain.function)

        assert declared.name == "mails.confirm"

    async def test_the_function_itself_can_be_called_in_a_test(self):
        await plain.function("order-1")

        assert RECEIVED["plain"] == "order-1"

    def test_a_coroutine_runs_on_the_loop_and_a_function_on_a_thread(self):
        assert (plain.terms.runs_on, threaded.terms.runs_on) == ("loop", "thread")

    def test_the_defaults_are_those_that_the_documentation_has(self):
        terms = plain.terms

        assert (terms.attempts, terms.priority, terms.queue, terms.version) == (5, 0, "default", 1)
        assert terms.timeout == timedelta(minutes=15)
        assert terms.backoff == Backoff(
            first=timedelta(seconds=2), factor=3, most=timedelta(minutes=15)
        )
        assert (terms.unique, terms.upgrade, terms.schedule) == (None, None, None)

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            ({"attempts": 0}, "attempts=5"),
            ({"attempts": "5"}, "attempts=5"),
            ({"backoff": 5}, r"Backoff\(first=timedelta\(seconds=2\)\)"),
            ({"timeout": 30}, r"timeout=timedelta\(seconds=30\)"),
            ({"timeout": timedelta(0)}, r"timeout=timedelta\(seconds=30\)"),
            ({"runs_on": "process"}, "'loop', 'thread' or 'cpu'"),
            ({"priority": 1441}, "from -1440 to 1440 minutes"),
            ({"priority": -1441}, "from -1440 to 1440 minutes"),
            ({"priority": "high"}, "priority=60"),
            ({"queue": ""}, "A-Z a-z 0-9 _ . -"),
            ({"queue": "slow mails"}, "A-Z a-z 0-9 _ . -"),
            ({"queue": "q" * 65}, "1 to 64"),
            ({"queue": None}, "queue='mails'"),
            ({"unique": "always"}, "'queued' or 'unfinished'"),
            ({"version": 0}, "version=2"),
            ({"upgrade": {}}, "upgrade=lambda version, arguments"),
            ({"schedule": "0 3 * * *"}, r"Cron\('0 3 \* \* \*'"),
            ({"max_memory": 0}, r"512 \* 1024\*\*2"),
            ({"name": "n" * 201}, r"@task\(name='...'\)"),
        ],
    )
    def test_a_term_that_is_wrong_says_what_to_type(self, wrong, says):
        with pytest.raises(ValueError, match=says):
            task(**{"name": "wrong", **wrong})(threaded.function)

    def test_a_term_that_does_not_exist_says_which_ones_do(self):
        with pytest.raises(TypeError, match=r"no option retries.*attempts, backoff, timeout"):
            task(retries=3)

    def test_a_name_without_its_keyword_says_so(self):
        with pytest.raises(TypeError, match=r"@task\(name='mails.confirm'\)"):
            task("mails.confirm")

    def test_a_nested_function_needs_a_name_that_a_worker_could_find(self):
        async def nested() -> None: ...

        with pytest.raises(ValueError, match=r"module level.*@task\(name='...'\)"):
            task(nested)
        assert task(name="nested")(nested).name == "nested"

    def test_a_function_cannot_run_on_the_loop(self):
        with pytest.raises(TypeError, match=r"runs_on='loop' has to be a `async def`"):
            task(name="wrong", runs_on="loop")(threaded.function)

    @pytest.mark.parametrize("runs_on", ["thread", "cpu"])
    def test_a_coroutine_runs_nowhere_but_on_the_loop(self, runs_on):
        with pytest.raises(TypeError, match=f"runs_on='{runs_on}' has to be a `def`"):
            task(name="wrong", runs_on=runs_on)(plain.function)

    @pytest.mark.parametrize("runs_on", ["thread", "cpu"])
    def test_a_transaction_stays_on_the_loop(self, runs_on):
        @task(name="wrong", runs_on=runs_on)
        def wrong(tx: AsyncSession) -> None: ...

        with pytest.raises(TypeError, match="Write `async def`"):
            Jobs(Database("sqlite://"), tasks=[wrong])

    def test_a_parameter_without_a_type_says_how_to_write_one(self):
        @task(name="wrong")
        def wrong(order_id) -> None: ...

        with pytest.raises(TypeError, match="such as order_id: str"):
            Jobs(Database("sqlite://"), tasks=[wrong])

    def test_parameters_are_stored_by_name_so_each_has_one(self):
        @task(name="args")
        def args(*ids: str) -> None: ...

        @task(name="kwargs")
        def kwargs(**ids: str) -> None: ...

        for wrong in (args, kwargs):
            with pytest.raises(TypeError, match="Name each one"):
                Jobs(Database("sqlite://"), tasks=[wrong])

    def test_what_cannot_be_stored_says_to_take_an_id(self):
        @task(name="wrong")
        def wrong(engine: Engine) -> None: ...

        with pytest.raises(TypeError, match=r"Take an id.*sqlalchemy\.engine\.base\.Engine"):
            Jobs(Database("sqlite://"), tasks=[wrong])

    def test_a_type_that_only_checkers_know_says_where_to_import_it(self):
        with pytest.raises(TypeError, match="outside of `if TYPE_CHECKING:`"):
            Jobs(Database("sqlite://"), tasks=[later.hidden])

    def test_types_may_be_defined_after_the_task(self):
        call = later.ahead.call(box=later.Box(label="a", inner=None))

        assert call.arguments == '{"box":{"label":"a","inner":null}}'

    def test_job_and_tx_may_stand_anywhere_and_are_not_arguments(self):
        @task(name="anywhere")
        async def anywhere(
            first: int, tx: Annotated[AsyncSession, "ours"], second: int, job: Job, *, last: int = 0
        ) -> None: ...

        assert anywhere.call(1, 2, last=3).arguments == '{"first":1,"second":2,"last":3}'

    def test_the_tx_of_a_route_may_be_the_type_of_a_parameter(self):
        @task(name="annotated")
        async def annotated(tx: Tx, order_id: str) -> None: ...

        assert annotated.signature.takes_tx
        assert annotated.call(order_id="1").arguments == '{"order_id":"1"}'

    def test_two_tasks_of_one_name_are_told_apart_before_they_run(self):
        twin = task(name=plain.name)(threaded.function)

        with pytest.raises(ValueError, match=r"Two tasks are called .*plain.*@task\(name='...'\)"):
            Jobs(Database("sqlite://"), tasks=[plain, twin])

    def test_one_task_may_be_named_twice(self):
        assert Jobs(Database("sqlite://"), tasks=[plain, plain]).tasks == (plain,)

    def test_a_scheduled_task_is_called_without_arguments_so_it_needs_defaults(self):
        @task(name="wrong", schedule=Cron("0 3 * * *"))
        async def wrong(job: Job, day: date) -> None: ...

        @task(name="right", schedule=Every(timedelta(minutes=5)))
        async def right(job: Job, tx: AsyncSession, days: int = 1) -> None: ...

        with pytest.raises(TypeError, match="wrong has a schedule: its parameters need defaults"):
            Jobs(Database("sqlite://"), tasks=[wrong])
        assert Jobs(Database("sqlite://"), tasks=[right]).tasks == (right,)


class TestOptions:
    def test_a_time_to_run_at_needs_its_zone(self):
        with pytest.raises(ValueError, match=r"datetime\.now\(UTC\) \+ timedelta\(hours=1\)"):
            plain.options(run_at=datetime(2030, 1, 1))  # noqa: DTZ001 - that is what is refused

    def test_delay_and_run_at_say_the_same_so_only_one_is_given(self):
        with pytest.raises(ValueError, match="not both"):
            plain.options(delay=timedelta(1), run_at=datetime.now(UTC))

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            ({"priority": 1441}, "-1440 to 1440"),
            ({"priority": -1441}, "-1440 to 1440"),
            ({"queue": ""}, "1 to 64"),
            ({"queue": "a/b"}, "1 to 64"),
            ({"unique_key": ""}, "1 to 200"),
            ({"unique_key": "k" * 201}, "1 to 200"),
            ({"unique_key": "a\0b"}, r"U\+0000"),
        ],
    )
    def test_an_option_out_of_its_range_is_refused_where_it_is_given(self, wrong, says):
        with pytest.raises(ValueError, match=says):
            plain.options(**wrong)

    @pytest.mark.parametrize("priority", [-1440, 0, 1440])
    def test_a_day_of_head_start_or_of_waiting_is_the_most(self, priority):
        assert plain.options(priority=priority).call("1").options.priority == priority


class TestArguments:
    def test_arguments_are_json_that_people_can_read(self):
        call = everything.call(
            "Grüße 日本 🚚",
            count=3,
            amount=Decimal("9.90"),
            at=datetime(2026, 3, 1, 12, tzinfo=UTC),
            uuid=UUID("12345678-1234-5678-1234-567812345678"),
            size=Size.LARGE,
            line=Line(item="a", quantity=1, price=Decimal("0.10")),
            address=Address("Köln", date(2020, 2, 29)),
            lines=[Line(item="b", quantity=2, price=Decimal(1), weight=0.5)],
            named={"x": 1},
            nothing=None,
            ratio=0.25,
            anything={"deep": [1, "two", None, True]},
        )

        assert call.arguments == (
            '{"text":"Grüße 日本 🚚","count":3,"amount":"9.90","at":"2026-03-01T12:00:00Z",'
            '"uuid":"12345678-1234-5678-1234-567812345678","size":"large",'
            '"line":{"item":"a","quantity":1,"price":"0.10","weight":null},'
            '"address":{"city":"Köln","since":"2020-02-29","height":null},'
            '"lines":[{"item":"b","quantity":2,"price":"1","weight":0.5}],'
            '"named":{"x":1},"nothing":null,"ratio":0.25,'
            '"anything":{"deep":[1,"two",null,true]}}'
        )

    async def test_a_task_receives_its_arguments_in_their_types(self, database_url):
        sent = {
            "text": "Grüße 日本 🚚 \n\t\"'\\",
            "count": -(2**70),
            "amount": Decimal("9.90"),
            "at": datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC),
            "uuid": UUID("12345678-1234-5678-1234-567812345678"),
            "size": Size.LARGE,
            "line": Line(item="a", quantity=1, price=Decimal("0.10")),
            "address": Address("Köln", date(2020, 2, 29)),
            "lines": [Line(item="b", quantity=2, price=Decimal(1), weight=0.5)],
            "named": {"": 0, "x": 1},
            "nothing": None,
            "ratio": 1e-300,
            "anything": {"deep": [1, "two", None, True]},
        }
        RECEIVED.clear()

        async with database(database_url) as db, running(db, everything):
            async with db.begin() as tx:
                await everything.enqueue(tx, **sent)
            await until(lambda: "everything" in RECEIVED)
            (row,) = await rows(db)

        assert RECEIVED["everything"] == sent
        assert row.arguments == everything.call(**sent).arguments

    @given(
        words=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))),
        counts=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers()),
        at=st.datetimes(timezones=st.just(UTC)),
        amount=st.decimals(allow_nan=False, allow_infinity=False),
    )
    def test_what_is_enqueued_is_what_the_task_receives(self, words, counts, at, amount):
        counts = {word.replace("\0", ""): count for word, count in counts.items()}

        call = typed.call(words, counts, at=at, amount=amount)

        assert typed.signature.load(call.arguments) == {
            "words": words,
            "counts": counts,
            "at": at,
            "amount": amount,
        }

    @given(
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
            lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("abc"), inner),
        )
    )
    def test_any_json_value_is_received_as_it_was(self, value):
        call = loose.call(value)

        assert loose.signature.load(call.arguments) == {"value": value}
        assert json.loads(call.arguments) == {"value": value}

    def test_a_default_that_is_left_out_is_not_stored_so_that_it_may_change(self):
        assert threaded.call("1").arguments == '{"order_id":"1"}'
        assert threaded.call("1", copies=1).arguments == '{"order_id":"1","copies":1}'

    @pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize(
        "where",
        [
            lambda number: {"ratio": number},
            lambda number: {"value": number},
            lambda number: {"value": [{"deep": number}]},
            lambda number: {"line": Line(item="a", quantity=1, price=Decimal(1), weight=number)},
            lambda number: {"value": Address("Köln", date(2020, 2, 29), number)},
        ],
        ids=["typed", "untyped", "deep", "model", "dataclass"],
    )
    def test_a_number_that_json_does_not_have_is_refused_and_not_made_null(self, number, where):
        with pytest.raises(ArgumentsMistaken, match=r"finite number|cannot be stored as JSON"):
            loose.call(**where(number))

    @pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "null", "\\u0000", "\\\\u0"])
    def test_words_that_look_like_what_is_refused_are_only_words(self, word):
        call = loose.call(word)

        assert loose.signature.load(call.arguments) == {"value": word}

    @pytest.mark.parametrize(
        ("args", "kwargs", "says"),
        [
            (("\ud800",), {}, "surrogates"),
            (({"\udfff": 1},), {}, "surrogates"),
            (("a\0b",), {}, r"U\+0000"),
            (("\\\0",), {}, r"U\+0000"),
            ((object(),), {}, "object"),
            ((b"\xff",), {}, "utf-8"),
            ((1, "x"), {}, "ratio: Input should be a valid number"),
            ((), {"colour": "red"}, "colour: Extra inputs are not permitted"),
            ((1,), {"value": 1}, "was given value twice"),
            ((1, 2, None, 4), {}, "takes 3 arguments by position, not 4"),
        ],
        ids=[
            *("surrogate", "surrogate-key", "nul", "escaped-nul", "object", "bytes"),
            *("type", "extra", "twice", "position"),
        ],
    )
    def test_what_does_not_fit_is_refused_by_name(self, args, kwargs, says):
        with pytest.raises(ArgumentsMistaken, match=says):
            loose.call(*args, **kwargs)

    def test_an_argument_that_is_missing_is_named(self):
        with pytest.raises(ArgumentsMistaken, match=r"plain cannot be enqueued: order_id: Field"):
            plain.call()

    def test_a_list_that_contains_itself_is_refused(self):
        value: list[Any] = []
        value.append(value)

        with pytest.raises(ArgumentsMistaken, match="Circular"):
            loose.call(value)

    def test_no_value_is_repeated_in_the_error(self):
        with pytest.raises(ArgumentsMistaken) as raised:
            plain.call(["hunter2"])

        assert "hunter2" not in str(raised.value)

    @pytest.mark.parametrize("wrong", [{}, {"order_id": 5}, {"order_id": "1", "colour": "red"}])
    async def test_nothing_is_written_where_the_arguments_do_not_fit(self, database_url, wrong):
        async with database(database_url) as db:
            async with db.begin() as tx:
                with pytest.raises(ArgumentsMistaken):
                    await plain.enqueue(tx, **wrong)
                await plain.enqueue(tx, order_id="right")
            (row,) = await rows(db)

        assert row.arguments == '{"order_id":"right"}'


class TestVersions:
    async def test_old_jobs_are_upgraded_to_what_the_task_takes_today(self, database_url):
        received = []

        @task(name="mail")
        async def before(order: int) -> None: ...

        @task(
            name="mail", version=2, upgrade=lambda version, old: {"order_id": f"v{version}-{old}"}
        )
        async def today(order_id: str) -> None:
            received.append(order_id)

        async with database(database_url) as db:
            async with db.begin() as tx:
                await before.enqueue(tx, order=7)
                await today.enqueue(tx, order_id="new")
            async with running(db, today):
                await until(lambda: len(received) == 2)

        assert sorted(received) == ["new", "v1-{'order': 7}"]

    async def test_an_older_process_leaves_newer_jobs_to_newer_ones(self, database_url):
        @task(name="mail")
        async def before(order: int) -> None: ...

        @task(name="mail", version=2)
        async def today(order_id: str) -> None: ...

        async with database(database_url) as db:
            async with db.begin() as tx:
                await today.enqueue(tx, order_id="new")
            async with running(db, before):
                await until(lambda: states(db, "parked"))
            async with running(db, today):
                await until(lambda: states(db, "succeeded"))

    async def test_jobs_that_no_longer_fit_are_dead_and_say_why(self, database_url):
        @task(name="mail")
        async def before(order: int) -> None: ...

        @task(name="mail", version=2)
        async def today(order_id: str) -> None: ...

        async with database(database_url) as db:
            async with db.begin() as tx:
                await before.enqueue(tx, order=7)
            async with running(db, today):
                await until(lambda: states(db, "dead"))
            (row,) = await rows(db)

        assert row.error_code == "BAD_ARGUMENTS"
        assert "order_id" in row.error


async def states(db: Database, *expected: str) -> bool:
    return tuple(row.state for row in await rows(db)) == expected


def test_an_argument_that_json_would_change_is_refused_and_named():
    @task(name="changes.secret")
    async def log_in(name: str, password: SecretStr) -> None: ...

    @task(name="changes.untyped")
    async def keep(value: Any) -> None: ...

    with pytest.raises(ArgumentsMistaken, match="password would not be the same"):
        log_in.call(name="ann", password=SecretStr("hidden"))
    with pytest.raises(ArgumentsMistaken, match="value would not be the same"):
        keep.call({"at": datetime(2026, 1, 1, tzinfo=UTC)})

"""`roadworthy jobs`, in a process of its own, on databases as they are in use."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from roadworthy import jobs, tables
from roadworthy.jobs import task
from roadworthy.jobs.table import insert
from support.forked import run as forked_run

Roadworthy = Callable[..., subprocess.CompletedProcess[str]]
VARIABLE = "ROADWORTHY_DATABASE_URL"
NOBODY = "00000000-0000-7000-8000-000000000000"


@task(name="mail.send")
async def send(to: str) -> None:
    """Only its rows are needed."""


@task(name="pdf.render", queue="slow")
async def render(order: int) -> None:
    """Likewise."""


def sync_engine(url: str) -> sa.Engine:
    return sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))


@pytest.fixture
def url(database_url: str) -> str:
    engine = sync_engine(database_url)
    tables.metadata.create_all(engine)
    engine.dispose()
    return database_url


@pytest.fixture
def roadworthy(url: str) -> Roadworthy:
    return lambda *words, **options: run("--database", url, *words, **options)


def run(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Type `roadworthy jobs WORDS...`; whatever it is, it ends without a traceback."""
    environment = {k: v for k, v in os.environ.items() if k != VARIABLE} | (env or {})
    command = [sys.executable, "-m", "roadworthy.cli", "jobs", *words]
    done = forked_run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert "Traceback" not in done.stderr
    return done


def add(url: str, call: jobs.Call | None = None, **columns: object) -> str:
    """Add a job, then write what became of it."""
    engine = sync_engine(url)
    call = call or send.call(to="ann@example.com")
    with engine.begin() as connection:
        job = insert.add_sync(connection, call)
        if columns:
            of = jobs.table.c.id == job.id
            connection.execute(sa.update(jobs.table).where(of).values(**columns))
    engine.dispose()
    return job.id


def add_dead(url: str, call: jobs.Call | None = None) -> str:
    return add(
        url,
        call,
        state="dead",
        attempts=5,
        finished_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        error_code="CONNECTION_REFUSED",
        error="ConnectionRefused: smtp://secret@mail",
        request_id="order-1",
    )


def state_of(url: str, id_: str) -> str:
    engine = sync_engine(url)
    with engine.connect() as connection:
        state = connection.scalar(sa.select(jobs.table.c.state).where(jobs.table.c.id == id_))
    engine.dispose()
    return str(state)


def cells(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_list_shows_the_newest_first_without_arguments(url, roadworthy):
    older, newer = add(url), add(url, render.call(order=7))

    done = roadworthy("list")

    head, first, second = cells(done.stdout)
    assert head == ["id", "task", "state", "queue", "attempts", "enqueued", "error"]
    assert first[:5] == [newer, "pdf.render", "queued", "slow", "0"]
    assert second[:5] == [older, "mail.send", "queued", "default", "0"]
    assert "ann@example.com" not in done.stdout
    assert done.returncode == 0


def test_columns_stand_below_each_other(url, roadworthy):
    add(url)
    add(url, render.call(order=7))

    head, *rows = roadworthy("list").stdout.splitlines()

    assert {row.index("queued") for row in rows} == {head.index("state")}


@pytest.mark.sampled
@pytest.mark.parametrize(
    "filters",
    [("--state", "dead"), ("--task", "pdf.render"), ("--queue", "slow"), ("--limit", "1")],
    ids=lambda filters: filters[0],
)
def test_list_is_narrowed(url, roadworthy, filters):
    add(url)
    wanted = add_dead(url, render.call(order=7))

    done = roadworthy("list", *filters, "--json")

    assert [job["id"] for job in json.loads(done.stdout)] == [wanted]


def test_list_says_how_to_go_on_where_there_are_more(url, roadworthy):
    ids = [add(url) for _ in range(3)]

    first = roadworthy("list", "--limit", "2", "--json")
    then = roadworthy("list", "--json", "--before", first.stderr.split()[-1])

    pages = [[job["id"] for job in json.loads(done.stdout)] for done in (first, then)]
    assert pages == [[ids[2], ids[1]], [ids[0]]]


def test_json_of_a_list_holds_neither_arguments_nor_error_texts(url, roadworthy):
    add_dead(url)

    (job,) = json.loads(roadworthy("list", "--json").stdout)

    assert job["error_code"] == "CONNECTION_REFUSED"
    assert (job["state"], job["status"], job["attempts"]) == ("dead", "dead", 5)
    assert job["finished_at"] == "2026-01-02T03:04:05+00:00"
    assert job.keys() & {"arguments", "error"} == set()


def test_nothing_found_is_exit_code_1(roadworthy):
    listed, dead = roadworthy("list"), roadworthy("dead", "--json")

    assert (listed.returncode, listed.stdout, listed.stderr) == (1, "", "No such jobs.\n")
    assert (dead.returncode, dead.stdout) == (1, "[]\n")


def test_show_shows_arguments_and_error(url, roadworthy):
    id_ = add_dead(url)

    done = roadworthy("show", id_)

    assert '{"to":"ann@example.com"}' in done.stdout
    assert "ConnectionRefused: smtp://secret@mail" in done.stdout
    assert done.returncode == 0


def test_show_as_json_has_the_arguments_as_values(url, roadworthy):
    id_ = add_dead(url)

    job = json.loads(roadworthy("show", id_, "--json").stdout)

    assert job["arguments"] == {"to": "ann@example.com"}
    assert job["request_id"] == "order-1"


def test_what_a_job_holds_does_not_reach_the_terminal_as_a_command(url, roadworthy):
    id_ = add(url, error="first\n\x1b[2J\x1b]0;owned\x07 second", attempts=1)

    shown = roadworthy("show", id_).stdout

    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "\\x1b[2J" in shown


def test_a_terminal_that_knows_ascii_only_is_no_obstacle(url, roadworthy):
    id_ = add(url, send.call(to="jürgen@example.com"))

    done = roadworthy("show", id_, env={"PYTHONIOENCODING": "ascii"})

    assert "j\\xfcrgen@example.com" in done.stdout


def test_show_of_no_job_says_so(roadworthy):
    done = roadworthy("show", NOBODY)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"There is no job {NOBODY}. Type: roadworthy jobs list\n"


def test_dead_lists_what_failed_and_the_commands_to_type_next(url, roadworthy):
    add(url)
    id_ = add_dead(url)

    done = roadworthy("dead")

    _, row = cells(done.stdout)
    assert row == [id_, "mail.send", "CONNECTION_REFUSED", "5", "2026-01-02T03:04:05Z", "order-1"]
    assert f"roadworthy jobs show {id_}" in done.stderr
    assert "roadworthy jobs retry --all-dead --task mail.send" in done.stderr


def test_retry_queues_a_dead_job(url, roadworthy):
    id_ = add_dead(url)

    done = roadworthy("retry", id_)

    assert (done.returncode, done.stdout) == (0, f"{id_} is queued.\n")
    assert state_of(url, id_) == "queued"


def test_retry_does_what_it_can_and_says_what_it_could_not(url, roadworthy):
    dead, queued = add_dead(url), add(url)

    done = roadworthy("retry", queued, NOBODY, dead)

    assert state_of(url, dead) == "queued"
    assert done.returncode == 1
    assert cells(done.stderr)[0][:6] == [queued, "is", "not", "dead,", "cancelled", "or"]
    assert f"{NOBODY} is no job here; nothing was changed." in done.stderr


def test_retry_of_all_that_are_dead_takes_more_than_one_batch(url, roadworthy):
    ids = [add_dead(url) for _ in range(2)]
    other = add_dead(url, render.call(order=7))
    many(url, 600)

    done = roadworthy("retry", "--all-dead", "--task", "mail.send")

    assert done.stdout == "602 of the dead jobs are queued.\n"
    assert [state_of(url, id_) for id_ in [*ids, other]] == ["queued", "queued", "dead"]


def many(url: str, number: int) -> None:
    engine = sync_engine(url)
    with engine.begin() as connection:
        insert.add_all(connection, [send.call(to="x") for _ in range(number)])
        queued = jobs.table.c.state == "queued"
        connection.execute(sa.update(jobs.table).where(queued).values(state="dead"))
    engine.dispose()


def test_retry_of_all_where_none_is_dead_changes_nothing(url, roadworthy):
    add(url)

    assert roadworthy("retry", "--all-dead").returncode == 1


@pytest.mark.sampled
@pytest.mark.parametrize("words", [(), ("x", "--all-dead"), ("x", "--task", "t")], ids=len)
def test_retry_is_told_jobs_or_all_of_them(roadworthy, words):
    done = roadworthy("retry", *words)

    assert done.returncode == 2
    assert "Type: roadworthy jobs retry ID" in done.stderr


def test_cancel_ends_a_job_that_waits(url, roadworthy):
    id_ = add(url, send.options(delay=timedelta(days=1)).call(to="x"))

    done = roadworthy("cancel", id_)

    assert done.returncode == 0
    assert state_of(url, id_) == "cancelled"


def test_cancel_of_a_job_that_ended_says_so(url, roadworthy):
    id_ = add_dead(url)

    done = roadworthy("cancel", id_)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{id_} has ended already; nothing was changed.\n"


def test_dismiss_puts_a_dead_job_away(url, roadworthy):
    dead, queued = add_dead(url), add(url)

    done = roadworthy("dismiss", dead, queued)

    assert (done.returncode, done.stdout) == (1, f"{dead} is dismissed.\n")
    assert done.stderr == f"{queued} is not dead or parked; nothing was changed.\n"
    assert state_of(url, dead) == "cancelled"


def test_what_is_done_to_one_job_is_written_down(url, roadworthy):
    dead, waits = add_dead(url), add(url)

    roadworthy("retry", dead, "--by", "ana")
    roadworthy("cancel", waits, "--by", "ben")

    done = json.loads(roadworthy("actions", "--json").stdout)
    assert [(each["who"], each["what"], each["target"]["job"]) for each in done] == [
        ("ben", "cancel", waits),
        ("ana", "retry", dead),
    ]


def test_stats_count_states_and_what_waits(url, roadworthy):
    add_dead(url)
    add(url, run_at=datetime.now(UTC) - timedelta(hours=2))

    shown, counted = roadworthy("stats"), json.loads(roadworthy("stats", "--json").stdout)

    assert ["dead", "1"] in cells(shown.stdout)
    assert counted["states"]["queued"] == counted["queues"]["default"]["depth"] == 1
    assert counted["queues"]["default"]["oldest_seconds"] >= 7200
    assert set(counted["states"]) == set(jobs.State)


def test_stats_of_an_empty_table_are_an_answer(roadworthy):
    assert roadworthy("stats").returncode == 0


def test_the_database_may_be_named_by_the_environment(url):
    add(url)

    assert run("list", env={VARIABLE: url}).returncode == 0


def test_the_database_may_be_named_behind_the_command(url):
    add(url)

    assert run("list", "--database", url).returncode == 0


def test_a_reader_that_has_seen_enough_is_no_error(url):
    add(url)
    command = f'"{sys.executable}" -m roadworthy.cli jobs list --database "{url}" | true'

    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")

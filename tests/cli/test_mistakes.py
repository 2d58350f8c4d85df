"""Every mistake at the command line is one line that says what to type, and exit code 2."""

import os
import subprocess
import sys

import pytest
import sqlalchemy as sa

from support.forked import run as forked_run

BLOCKED = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from roadworthy.cli import main
sys.exit(main(sys.argv[2:]))
"""
SQLITE = "sqlite:///there-is-no-such-file.db"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "ROADWORTHY_DATABASE_URL"}
    return forked_run(
        [sys.executable, *command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def mistake(*words: str) -> str:
    """Type a command that is wrong, and return what it says."""
    done = run("-m", "roadworthy.cli", *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["foo"], "Type: roadworthy --help"),
        (["jobs"], "Type: roadworthy jobs --help"),
        (["jobs", "foo"], "Type: roadworthy jobs --help"),
        (["jobs", "list", "--state", "x"], "invalid choice: 'x'"),
        (["jobs", "list", "--limit", "0"], "'0' is no number from 1"),
        (["jobs", "list", "--limi", "1"], "unrecognized arguments: --limi 1. Type:"),
        (["jobs", "show"], "required: ID. Type: roadworthy jobs show --help"),
        (["jobs", "list"], "by --database or ROADWORTHY_DATABASE_URL"),
        (["jobs", "list", "--database", "shop.db"], "Give sqlite:///file.db or postgresql://"),
        (["jobs", "list", "--database", "mysql://host/db"], "not mysql://"),
        (["jobs", "list", "--database", SQLITE], "There is no file there-is-no-such-file.db"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_that_says_what_to_type(words, says):
    assert says in mistake(*words)


def test_nothing_typed_shows_the_help():
    done = run("-m", "roadworthy.cli")

    assert done.returncode == 2
    assert "look at background jobs" in done.stderr


def test_a_file_that_is_not_there_is_not_made(tmp_path):
    mistake("jobs", "list", "--database", f"sqlite:///{tmp_path}/shop.db")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    ["postgresql://ann:geheim@127.0.0.1:1/shop", "postgresql://ann:geheim:x@[::1]:zz/shop"],
    ids=["nobody listens", "no URL"],
)
def test_a_password_is_not_repeated(url):
    assert "geheim" not in mistake("jobs", "stats", "--database", url)


def test_a_database_that_is_not_there_is_named(postgres_url):
    said = mistake("jobs", "stats", "--database", f"{postgres_url}_gone")

    assert "does not exist" in said
    assert "--database" in said


def test_a_database_without_the_tables_says_where_they_are(tmp_path):
    engine = sa.create_engine(f"sqlite:///{tmp_path}/shop.db")
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE other (id INTEGER)"))
    engine.dispose()

    said = mistake("jobs", "stats", "--database", f"sqlite:///{tmp_path}/shop.db")

    assert "roadworthy.tables.metadata" in said


def test_a_file_that_is_no_database_is_told_in_one_line(tmp_path):
    (tmp_path / "shop.db").write_text("not a database, however long it may be" * 100)

    said = mistake("jobs", "stats", "--database", f"sqlite:///{tmp_path}/shop.db")

    assert "file is not a database" in said


@pytest.mark.parametrize(
    ("absent", "url", "install"),
    [
        ("sqlalchemy", SQLITE, "pip install 'roadworthy[jobs]'"),
        ("aiosqlite", "sqlite:///{here}", "pip install 'roadworthy[sqlite]'"),
        ("asyncpg", "postgresql://host/db", "pip install 'roadworthy[postgresql]'"),
    ],
    ids=["sqlalchemy", "aiosqlite", "asyncpg"],
)
def test_what_is_not_installed_says_what_to_install(tmp_path, absent, url, install):
    (tmp_path / "shop.db").touch()
    words = ["jobs", "list", "--database", url.format(here=tmp_path / "shop.db")]

    done = run("-c", BLOCKED, absent, *words)

    assert done.returncode == 2
    assert install in done.stderr
    assert done.stderr.count("\n") == 1

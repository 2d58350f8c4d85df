"""The database goes away and comes back while jobs run."""

import os
import re
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlsplit, urlunsplit

import pytest

from jobs.conftest import Books, until
from support.http import RawClient
from support.proxy import Proxy
from support.server import Server

Start = Callable[..., Server]


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[Proxy]:
    with Proxy(urlsplit(postgres_url).port or 5432) as proxy:
        yield proxy


@pytest.fixture
def through(proxy: Proxy, postgres_url: str) -> str:
    """The URL of the database, by way of the proxy."""
    parts = urlsplit(postgres_url)
    return urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{proxy.port}"))


@contextmanager
def orders(server: Server, acknowledged: list[str]) -> Iterator[None]:
    """Order without a pause, and note what was acknowledged."""
    told = Event()

    def order() -> None:
        number = 0
        while not told.wait(0.01):
            number += 1
            with RawClient(server.port, timeout=30) as client:
                if client.request("POST", f"/orders/{number}?after=0.1").status == 200:
                    acknowledged.append(str(number))

    thread = Thread(target=order)
    thread.start()
    try:
        yield
    finally:
        told.set()
        thread.join()


def check(server: Server, books: Books, acknowledged: list[str]) -> None:
    """Check that each acknowledged order was dealt with, and none twice in a transaction."""
    until(lambda: set(books.states()) == {"succeeded"}, seconds=40)
    effects = books.effects()
    assert {f"once {name}" for name in acknowledged} <= set(effects)
    assert {f"at least once {name}" for name in acknowledged} <= set(effects)
    assert {count for name, count in effects.items() if name.startswith("once")} == {1}
    assert server.is_running()
    with RawClient(server.port) as client:
        assert client.request("GET", "/ping").text == str(server.pid), "it never restarted"


def told(server: Server) -> int:
    """Count what the engine has logged of the outage."""
    pattern = r"Jobs wait:|could not be recorded|never retrieved|loop failed"
    return len(re.findall(pattern, server.log_text()))


def tracebacks_of_jobs(server: Server) -> int:
    """Count the lines of the outage that a traceback follows."""
    return len(re.findall(r"(?:Jobs wait:|could not be recorded).*\nTraceback", server.log_text()))


@pytest.mark.parametrize(
    ("how", "seconds", "driver"),
    [
        ("cut", 4, "asyncpg"),
        pytest.param("cut", 4, "psycopg", marks=pytest.mark.soak),
        pytest.param("hang", 8, "asyncpg", marks=pytest.mark.soak),
        pytest.param("hang", 8, "psycopg", marks=pytest.mark.soak),
    ],
)
def test_postgresql_goes_away_and_nothing_is_lost_or_repeated(
    start: Start,
    open_books: Callable[[str], Books],
    proxy: Proxy,
    through: str,
    postgres_url: str,
    driver: str,
    how: str,
    seconds: float,
) -> None:
    books = open_books(postgres_url)
    url = through.replace("postgresql://", f"postgresql+{driver}://")
    server = start(url, lease=3, max_wait=1, statement_timeout=1)
    acknowledged: list[str] = []

    with orders(server, acknowledged):
        until(lambda: len(books.effects()) > 10)
        getattr(proxy, how)()
        time.sleep(seconds)  # longer than the lease; as it hangs, than asyncpg waits for an answer
        proxy.restore()
        before = len(acknowledged)
        # It recovers by itself: orders made after the outage are run after it.
        until(lambda: len(acknowledged) > before + 10, seconds=30)

    check(server, books, acknowledged)
    # Backing off: a handful of lines for each of what goes round, and the traceback once.
    assert told(server) < 40
    assert how == "hang" or told(server) > 1
    assert tracebacks_of_jobs(server) <= 4
    assert "never retrieved" not in server.log_text()


def test_results_that_come_while_postgresql_is_away_are_recorded_once(
    start: Start, open_books: Callable[[str], Books], proxy: Proxy, through: str, postgres_url: str
) -> None:
    books = open_books(postgres_url)
    server = start(through, lease=2, max_wait=1)
    with RawClient(server.port) as client:
        for number in range(20):
            assert client.request("POST", f"/orders/{number}?after=2").status == 200
    until(lambda: sum(name.startswith("at") for name in books.effects().elements()) == 20)

    proxy.cut()
    time.sleep(4)  # longer than the jobs, and longer than their leases
    proxy.restore()

    books.wait_for_states(succeeded=40, seconds=40)
    effects = books.effects()
    # There was nobody else: its own leases are no reason to run a job again.
    assert {count for name, count in effects.items() if name.startswith("at")} == {1}
    assert {count for name, count in effects.items() if name.startswith("once")} == {1}


def test_an_outcome_that_is_known_while_postgresql_is_away_is_recorded_then(
    start: Start, open_books: Callable[[str], Books], proxy: Proxy, through: str, postgres_url: str
) -> None:
    books = open_books(postgres_url)
    server = start(through, lease=1, max_wait=1)
    order = {"name": "hopeless", "after": 1}
    with RawClient(server.port) as client:
        assert client.request("POST", "/enqueue/gives_up", json=order).status == 200
    books.wait_for_effects("hopeless")

    proxy.cut()
    time.sleep(3)  # it gives up, and then its lease would end
    proxy.restore()

    books.wait_for_states(dead=1)
    assert books.effects() == {"hopeless": 1}
    assert [(job.attempts, job.error_code) for job in books.jobs()] == [(1, "GAVE_UP")]


def test_a_service_starts_while_postgresql_is_away(
    start: Start, open_books: Callable[[str], Books], proxy: Proxy, through: str, postgres_url: str
) -> None:
    books = open_books(postgres_url)
    proxy.cut()
    server = start(through, max_wait=1)
    with RawClient(server.port) as client:
        assert client.request("POST", "/orders/1").status == 503

        proxy.restore()

        until(lambda: client.request("POST", "/orders/2").status == 200)
    books.wait_for_effects("once 2", "at least once 2")


def test_sqlite_is_locked_by_another_process_and_nothing_is_lost_or_repeated(
    start: Start, open_books: Callable[[str], Books], sqlite_url: str
) -> None:
    books = open_books(sqlite_url)
    server = start(sqlite_url, lease=2, max_wait=0.5)
    acknowledged: list[str] = []

    with orders(server, acknowledged):
        until(lambda: len(books.effects()) > 10)
        other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
        until(lambda: begin_immediate(other))
        time.sleep(4)
        other.execute("COMMIT")
        other.close()
        before = len(acknowledged)
        until(lambda: len(acknowledged) > before + 10, seconds=30)

    check(server, books, acknowledged)
    assert 0 < told(server) < 40


def begin_immediate(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    return True


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk, and not in every container")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_waited_for(
    start: Start, open_books: Callable[[str], Books], small_disk: Path
) -> None:
    url = f"sqlite:///{small_disk / 'test.db'}"
    books = open_books(url)
    server = start(url, lease=2)
    acknowledged: list[str] = []

    with orders(server, acknowledged):
        until(lambda: len(books.effects()) > 10)
        fill(small_disk / "filler")
        time.sleep(4)
        (small_disk / "filler").unlink()
        before = len(acknowledged)
        until(lambda: len(acknowledged) > before + 10, seconds=30)

    check(server, books, acknowledged)
    assert 0 < told(server) < 40


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return

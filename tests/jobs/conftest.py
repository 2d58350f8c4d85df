"""Services with jobs, in processes of their own, and what their databases say of them."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, func, make_url, select

from jobs.services import tables
from roadworthy import jobs
from support.polling import until
from support.postgres import database_on
from support.server import Server, uvicorn_command

TESTS = Path(__file__).parent.parent
DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}


class Books:
    """The tables of a service, read from outside."""

    def __init__(self, url: str) -> None:
        self.url = url
        parsed = make_url(url)
        self.engine = create_engine(parsed.set(drivername=DRIVERS[parsed.drivername]))
        for metadata in tables.ALL:
            metadata.create_all(self.engine)

    def clear(self) -> None:
        """Forget all that has happened."""
        with self.engine.begin() as connection:
            for metadata in tables.ALL:
                for table in metadata.sorted_tables:
                    connection.execute(table.delete())

    def effects(self) -> Counter[str]:
        """Count how often each effect happened."""
        return Counter(row.name for row in self.notes())

    def notes(self) -> list[Any]:
        """Return every effect, in the order they were written."""
        with self.engine.connect() as connection:
            return list(connection.execute(select(tables.effects).order_by(tables.effects.c.id)))

    def jobs(self) -> list[Any]:
        """Return every job, the oldest first."""
        with self.engine.connect() as connection:
            return list(connection.execute(select(jobs.table).order_by(jobs.table.c.id)))

    def states(self) -> Counter[str]:
        """Count the jobs of each state."""
        by_state = select(jobs.table.c.state, func.count()).group_by(jobs.table.c.state)
        with self.engine.connect() as connection:
            return Counter(dict(connection.execute(by_state).all()))

    def wait_for_effects(self, *names: str, seconds: float = 20) -> None:
        """Wait until each of these has happened."""
        until(lambda: set(names) <= set(self.effects()), seconds=seconds)

    def wait_for_states(self, *, seconds: float = 20, **counts: int) -> None:
        """Wait until there are so many jobs of each state, and none of another."""
        until(lambda: self.states() == Counter(counts), seconds=seconds)


@pytest.fixture
def open_books() -> Iterator[Callable[[str], Books]]:
    """Create the tables of the services in a database, and read them."""
    opened: list[Books] = []

    def open_(url: str) -> Books:
        opened.append(Books(url))
        return opened[-1]

    yield open_
    for books in opened:
        books.engine.dispose()


@pytest.fixture
def books(open_books: Callable[[str], Books], database_url: str) -> Books:
    """Run the test on SQLite and on PostgreSQL, in a database with the tables in it."""
    return open_books(database_url)


@pytest.fixture
def start(serve: Callable[..., Server]) -> Callable[..., Server]:
    """Serve one of the services: `start(books.url, lease=1)`, `start(url, service="worker")`."""

    def start_with(url: str, *args: str, service: str = "shop", **settings: object) -> Server:
        env = environment(url, **settings)
        if service == "worker":
            return serve(command=[sys.executable, "-m", "jobs.services.worker"], env=env)
        return serve(f"jobs.services.{service}:create_app", factory=True, args=args, env=env)

    return start_with


@dataclass(frozen=True, slots=True)
class Shop:
    """A running shop, and its books."""

    server: Server
    books: Books


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def open_shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """Serve the shop as long as the tests of a file need it: starting one takes seconds."""
    folder = tmp_path_factory.mktemp("shop")
    with ExitStack() as stack:
        url = f"sqlite:///{folder / 'shop.db'}"
        if request.param == "postgresql":
            url = stack.enter_context(database_on(request.getfixturevalue("postgres_server")))
        books = Books(url)
        stack.callback(books.engine.dispose)
        command = uvicorn_command("jobs.services.shop:create_app", factory=True)
        server = Server(command, log=folder / "server.log", env=environment(url))
        stack.callback(server.stop)
        yield Shop(server, books)


@pytest.fixture
def shop(open_shop: Shop) -> Shop:
    """Return a shop in which nothing has happened yet; leave it running, with no jobs in it."""
    open_shop.books.clear()
    return open_shop


def environment(url: str, **settings: object) -> dict[str, str]:
    """Return what a service needs in its environment."""
    path = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
    given = {name.upper(): str(value) for name, value in settings.items()}
    return {"URL": url, "PYTHONPATH": path, **given}

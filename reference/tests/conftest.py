"""A real `depot serve` for each test module, on SQLite and on PostgreSQL; a real mail server."""

import asyncio
import os
import queue
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from support.forked import Popen
from support.forked import run as forked_run
from support.polling import until
from support.postgres import database_on

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Made once: to read the certificates of all authorities takes longer than most of the tests."""
SOURCE = Path(__file__).parents[1] / "src"


@dataclass
class Depot:
    """One running `depot` command."""

    process: subprocess.Popen[str]
    environment: dict[str, str]
    lines: list[str] = field(default_factory=list)
    ready: "queue.SimpleQueue[str | None]" = field(default_factory=queue.SimpleQueue)
    url: str = ""

    def __post_init__(self) -> None:
        self.reader = threading.Thread(target=self._read, daemon=True)

    def wait_until_ready(self) -> None:
        self.reader.start()
        line = self.ready.get(timeout=60)
        if line is None:
            raise RuntimeError(f"depot ended with {self.process.wait()}:\n{self.log}")
        self.url = line.rpartition(" ")[2].strip()

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=30, verify=NO_TLS, **options)

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=40)

    @property
    def log(self) -> str:
        return "".join(self.lines)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if line.startswith(("Depot is ready", "Depot's worker is ready")):
                self.ready.put(line)
        self.ready.put(None)


StartDepot = Callable[..., Depot]


@pytest.fixture(scope="module")
def depot_environment() -> Callable[..., dict[str, str]]:
    """The environment of a `depot` command: ours, without settings, and those that are given."""

    def make(**settings: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("DEPOT_") and k != "PORT"}
        path = os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH", "")]))
        return {**kept, "PYTHONPATH": path, "DEPOT_SHUTDOWN__DRAIN_SECONDS": "0", **settings}

    return make


@contextmanager
def _starting(make_environment: Callable[..., dict[str, str]]) -> Iterator[StartDepot]:
    with ExitStack() as stack:

        def start(*arguments: str, command: str = "serve", **settings: str) -> Depot:
            environment = make_environment(**settings)
            port = [] if command == "worker" else ["--port", "0"]
            process: subprocess.Popen[str] = Popen(
                [sys.executable, "-m", "depot", command, *port, *arguments],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            depot = Depot(process, environment)
            stack.callback(_end, depot)
            depot.wait_until_ready()
            return depot

        yield start


@pytest.fixture(scope="module")
def start_depot(depot_environment: Callable[..., dict[str, str]]) -> Iterator[StartDepot]:
    """Start `depot serve` on a free port, or `depot worker`; it is ended with the module."""
    with _starting(depot_environment) as start:
        yield start


@pytest.fixture
def start_briefly(depot_environment: Callable[..., dict[str, str]]) -> Iterator[StartDepot]:
    """Do the same; it is ended with the test."""
    with _starting(depot_environment) as start:
        yield start


@pytest.fixture(scope="module")
def run_depot(
    depot_environment: Callable[..., dict[str, str]],
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a `depot` command that ends by itself."""

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return forked_run(
            [sys.executable, "-m", "depot", *arguments],
            env=depot_environment(**settings),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@contextmanager
def _database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('depot')}/depot.db"
        return
    # Only asked for here: who tests on SQLite alone needs no server.
    with database_on(request.getfixturevalue("postgres_server")) as url:
        yield url


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The database of the module's server: a SQLite file, then a PostgreSQL database."""
    with _database(request, tmp_path_factory) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def own_database_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The same for one test, where no other process runs its jobs."""
    with _database(request, tmp_path_factory) as url:
        yield url


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest) -> dict[str, str]:
    """The settings of the stack that `--depot-on` names; none for the embedded engine."""
    named = request.config.getoption("--depot-on")
    if named is None:
        return {}
    engine, broker = STACKS[named]
    return {
        "DEPOT_JOBS__ENGINE": engine,
        "DEPOT_JOBS__BROKER_URL": request.getfixturevalue(broker),
    }


@pytest.fixture(scope="module")
def depot(
    start_depot: StartDepot,
    database_url: str,
    stack: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Depot]:
    """A server with default settings; on another stack, with a worker beside it."""
    data = str(tmp_path_factory.mktemp("data"))
    settings = {"DEPOT_DATABASE__URL": database_url, "DEPOT_DATA_DIR": data, **stack}
    depot = start_depot(**settings)
    worker = start_depot(command="worker", **settings) if stack else None
    yield depot
    depot.stop()
    if worker is not None:
        worker.stop()


STACKS = {
    "celery-rabbitmq": ("celery", "rabbitmq_url"),
    "celery-redis": ("celery", "redis_url"),
    "rq": ("rq", "redis_url"),
}
"""By the words of `--depot-on`: the engine, and the fixture with its broker's URL."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--depot-on`, keep the tests of the contract: those that ask the module's server."""
    if config.getoption("--depot-on") is None:
        return
    kept = [one for one in items if _asks_a_server_on_postgresql(one)]
    config.hook.pytest_deselected(items=[one for one in items if one not in kept])
    items[:] = kept


def _asks_a_server_on_postgresql(item: pytest.Item) -> bool:
    given = getattr(item, "callspec", None)
    asks = "depot" in getattr(item, "fixturenames", ())
    return asks and given is not None and given.params.get("database_url") == "postgresql"


@pytest.fixture
def client(depot: Depot) -> Iterator[httpx.Client]:
    """A client of the server; what the server logs meanwhile is shown where a test fails."""
    told = len(depot.lines)
    with depot.client() as client:
        yield client
    sys.stdout.write("".join(depot.lines[told:]))


@pytest.fixture
def add_item(client: httpx.Client) -> Callable[..., dict[str, Any]]:
    """Add an item: with defaults, and with what is given."""

    def add(**fields: Any) -> dict[str, Any]:
        item = {"name": "Hammer", "quantity": 10, "price": "9.99", **fields}
        answer = client.post("/inventory", json=item)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return add


@pytest.fixture
def at_once() -> Callable[..., list[Any]]:
    """Call a function many times at the same moment, and return what it returned."""

    def run(function: Callable[[int], Any], times: int) -> list[Any]:
        gate = threading.Barrier(times)
        results: list[Any] = [None] * times

        def call(number: int) -> None:
            gate.wait()
            results[number] = function(number)

        threads = [threading.Thread(target=call, args=(n,)) for n in range(times)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        return results

    return run


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """Ask until the answer is what is waited for, and return it: what runs is another process."""
    return until


@dataclass
class MailServer:
    """What a real mail server was told, and what it shall say."""

    envelopes: list[Envelope] = field(default_factory=list)
    recipient_answers: list[str] = field(default_factory=list)
    data_answers: list[str] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    asked: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def __post_init__(self) -> None:
        self.hold.set()

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.asked.set()
        await asyncio.to_thread(self.hold.wait)
        answer = self.recipient_answers.pop(0) if self.recipient_answers else "250 OK"
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = self.data_answers.pop(0) if self.data_answers else "250 OK"
        if answer.startswith("250"):
            self.envelopes.append(envelope)
        return answer


@pytest.fixture
def serve_mail() -> Iterator[Callable[..., MailServer]]:
    """Start a mail server on 127.0.0.1; options are those of aiosmtpd."""
    with ExitStack() as stack:

        def start(port: int = 0, **options: Any) -> MailServer:
            server = MailServer()
            controller = _Controller(server, hostname="127.0.0.1", port=port, **options)
            controller.start()
            stack.callback(controller.stop)
            stack.callback(server.hold.set)
            server.url = f"smtp://127.0.0.1:{controller.port}"
            return server

        yield start


class _Controller(Controller):
    def _trigger_server(self) -> None:
        # A port of 0 is known once it is taken.
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture
def closed_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _end(depot: Depot) -> None:
    # Never killed first: workers would outlive their parent.
    if depot.process.poll() is None:
        depot.process.terminate()
        try:
            depot.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            depot.process.kill()
            depot.process.wait()
    depot.reader.join(timeout=10)
    if depot.process.stdout is not None and not depot.reader.is_alive():
        depot.process.stdout.close()

"""The fixtures that all tests share: databases, servers, proxies and a browser."""

import gc
import os
import re
import signal
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from httpx._transports import default as httpx_transports
from hypothesis import HealthCheck, settings

from support import debian, forked, sampling
from support.brokers import NoBroker, nats_server, rabbitmq_vhost, redis_database
from support.clock import FalseClock
from support.emptied import database_on, keeping
from support.nginx import Nginx, proxy_to
from support.objects import object_server
from support.postgres import Unavailable, server_url
from support.server import Server, uvicorn_command

if TYPE_CHECKING:
    from support.chromium import Chromium
    from support.firefox import Firefox

NEEDS = "needs {}: "


@pytest.fixture(scope="session")
def _postgres() -> Iterator[str | Unavailable]:
    try:
        with server_url() as url, keeping(url):
            yield url
    except Unavailable as reason:
        yield reason


@pytest.fixture(scope="session")
def postgres_server(_postgres: str | Unavailable) -> str:
    """The URL of the server: for fixtures that keep a database longer than a test."""
    if isinstance(_postgres, Unavailable):
        pytest.skip(f"{NEEDS.format('PostgreSQL')}{_postgres}")
    return _postgres


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """`postgresql://…`, an empty database that is dropped after the test."""
    with database_on(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def object_url() -> Iterator[str]:
    """The URL of an S3 server that has one bucket, `ready`: use a prefix of your own."""
    with object_server() as url:
        yield url


@pytest.fixture(scope="session")
def rabbitmq_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a virtual host of RabbitMQ that is empty at first: use a prefix of your own."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # that of the whole run
    with skipped_without("RabbitMQ"), rabbitmq_vhost(folder) as url:
        yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The URL of a database of Redis that is empty at first: use a prefix of your own."""
    with skipped_without("Redis"), redis_database() as url:
        yield url


@pytest.fixture(scope="session")
def nats_url() -> str:
    """The URL of a NATS server with JetStream: use a prefix of your own."""
    with skipped_without("NATS"):
        return nats_server()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """`sqlite:///…`, a file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Run the test twice: on `sqlite_url` and on `postgres_url`."""
    name = {"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param]
    return str(request.getfixturevalue(name))


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Serve an application with uvicorn in a process of its own, until the test ends.

    serve("package.module:app")                      an import path
    serve(tmp_path / "shop.py")                      a file with `app`
    serve(path, factory=True, env={...})             a file with `create_app`
    serve("a:app", args=["--http", "h11"])           more options for uvicorn
    serve(command=["depot", "serve"], ready=r"...")  any command that prints its address
    """
    servers: list[Server] = []

    def start(
        app: str | Path = "",
        *,
        factory: bool = False,
        args: tuple[str, ...] | list[str] = (),
        command: list[str] | None = None,
        env: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Server:
        log = tmp_path / f"server-{len(servers)}.log"
        command = command or uvicorn_command(app, *args, factory=factory)
        servers.append(Server(command, log=log, env=env, **options))
        return servers[-1]

    yield start
    for server in servers:  # they end together
        if server.is_running():
            server.send_signal(signal.SIGTERM)
    for server in servers:
        server.stop()


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Callable[..., Nginx]]:
    """Put a real nginx in front of a server, until the test ends.

    nginx(server.port)                       pass everything on
    nginx(server.port, buffering=False)      without taking the whole body first
    nginx(server="location / { ... }", http="limit_req_zone ...;")    your own words
    """
    running: list[Nginx] = []

    def start(port: int = 0, *, buffering: bool = True, server: str = "", http: str = "") -> Nginx:
        server = server or proxy_to(port, buffering=buffering)
        folder = tmp_path / f"nginx-{len(running)}"
        with skipped_without("nginx"):
            running.append(Nginx(server, folder=folder, http=http))
        return running[-1]

    yield start
    for one in running:
        one.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator["Chromium"]:
    """Drive a real browser: chromium.run(lambda page: ...), see support/chromium.py."""
    from support.chromium import Chromium  # slow to import, and few tests need it

    with skipped_without("Chromium"):
        browser = Chromium()
    yield browser
    browser.stop()


@pytest.fixture(scope="session")
def firefox() -> "Firefox":
    """Let a real browser visit a page: `with firefox.visiting(url, profile=tmp_path / "new")`."""
    from support.firefox import Firefox

    with skipped_without("Firefox"):
        return Firefox()


@pytest.fixture
def false_clock(tmp_path: Path) -> FalseClock:
    """A wall clock for processes that are given its environment: it jumps when told to."""
    with skipped_without("faketime"):
        return FalseClock(tmp_path)


@pytest.fixture(scope="session")
def node() -> str:
    """The path of Node.js, 18 or later."""
    with skipped_without("node"):
        return debian.program("node", "nodejs", package="nodejs")


@pytest.fixture(scope="session")
def curl() -> str:
    """The path of curl."""
    with skipped_without("curl"):
        return debian.program("curl", package="curl")


@contextmanager
def skipped_without(name: str) -> Iterator[None]:
    try:
        yield
    except (debian.Unavailable, NoBroker) as reason:
        pytest.skip(f"{NEEDS.format(name)}{reason}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what `make faults` and `make contract` say: a plain run takes a sample."""
    parser.addoption(
        "--all-faults", action="store_true", help="tests/faults: every fault on every stack"
    )
    parser.addoption(
        "--fresh", action="store_true", help="start each process anew: see support/forked.py"
    )
    parser.addoption(
        "--depot-on",
        choices=["celery-rabbitmq", "celery-redis", "rq"],
        help="reference/tests: ask a Depot on PostgreSQL whose jobs run in these workers",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let no test fail because the machine is busy, and start processes as is asked."""
    forked.fresh = config.getoption("--fresh")
    # To read the certificates of all authorities takes longer than most requests here.
    httpx_transports.create_ssl_context = cache(httpx_transports.create_ssl_context)
    busy = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
    settings.register_profile("quick", max_examples=50, **busy)
    settings.register_profile("long", max_examples=200, **busy)
    settings.load_profile("quick" if config.option.markexpr == "not soak" else "long")


@pytest.hookimpl(tryfirst=True)  # before `-m "not soak"` is heeded
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the most of what is `sampled` to `make test-all`."""
    sampling.mark_soaks(items)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from walking 19,000 tests, now and whenever one asks for it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what could not be run: a skip must not pass for a success."""
    reasons = Counter(
        found.groups()
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
        and (found := re.search(NEEDS.format("([^:]+)") + "(.*)", report.longrepr[2]))
    )
    for (what, reason), count in reasons.items():
        terminalreporter.write_line(f"not run: {count} tests need {what}: {reason}", yellow=True)

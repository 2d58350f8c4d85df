"""The fixtures that all tests share: databases, and servers in processes of their own."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from support.postgres import Unavailable, database_on, server_url
from support.server import Server, uvicorn_command

NEEDS_POSTGRESQL = "needs PostgreSQL: "


@pytest.fixture(scope="session")
def _postgres() -> Iterator[str | Unavailable]:
    try:
        with server_url() as url:
            yield url
    except Unavailable as reason:
        yield reason


@pytest.fixture(scope="session")
def postgres_server(_postgres: str | Unavailable) -> str:
    """The URL of the server: for fixtures that keep a database longer than a test."""
    if isinstance(_postgres, Unavailable):
        pytest.skip(f"{NEEDS_POSTGRESQL}{_postgres}")
    return _postgres


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """`postgresql://…`, an empty database that is dropped after the test."""
    with database_on(postgres_server) as url:
        yield url


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
    for server in servers:
        server.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what could not be run: a skip must not pass for a success."""
    reasons = [
        report.longrepr[2].split(NEEDS_POSTGRESQL, 1)[1]
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple) and NEEDS_POSTGRESQL in report.longrepr[2]
    ]
    if reasons:
        terminalreporter.write_line(
            f"not run: {len(reasons)} tests need PostgreSQL: {reasons[0]}", yellow=True
        )

"""The service of these tests, on either database, in a process of its own."""

import asyncio
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from support.http import RawClient
from support.server import Server

SERVICE = Path(__file__).parent / "service.py"


STACKS = {
    "async-sqlite": ("service.py", "sqlite"),
    "async-postgresql": ("service.py", "postgresql"),
    "sync-sqlite": ("sync_service.py", "sqlite"),
    "sync-asyncpg": ("sync_service.py", "postgresql+asyncpg"),
    "sync-psycopg": ("sync_service.py", "postgresql+psycopg"),
}
"""The service with `async def` routes, and the same with `def` routes, on each driver."""


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    """The kind of the service and its database."""
    return str(request.param)


@pytest.fixture
def kind(stack: str) -> Path:
    """The service with routes of either kind."""
    return SERVICE.with_name(STACKS[stack][0])


@pytest.fixture
def stack_url(stack: str, request: pytest.FixtureRequest) -> str:
    """An empty database of the service, its driver named."""
    driver = STACKS[stack][1]
    if driver == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    return str(request.getfixturevalue("postgres_url")).replace("postgresql:", f"{driver}:")


@pytest.fixture
def start(serve: Callable[..., Server], stack_url: str, kind: Path) -> Callable[..., Server]:
    """Serve the service of a stack with these settings, each stack in turn."""

    def start_with(*args: str, **settings: object) -> Server:
        env = {
            "URL": stack_url,
            **{name.upper(): str(value) for name, value in settings.items()},
        }
        return serve(kind, factory=True, args=args, env=env)

    return start_with


@pytest.fixture
def client(start: Callable[..., Server]) -> Iterator[RawClient]:
    """One connection to the service."""
    with RawClient(start().port, timeout=20) as connection:
        yield connection


@pytest.fixture
def at_once() -> Callable[..., list[int]]:
    """Send the same request many times at once, and return the statuses."""

    async def send(port: int, line: str) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        return int(answer.split()[1])

    async def send_all(port: int, line: str, times: int) -> list[int]:
        return await asyncio.gather(*(send(port, line) for _ in range(times)))

    def run(port: int, line: str, *, times: int) -> list[int]:
        return asyncio.run(send_all(port, line, times))

    return run


@pytest.fixture(scope="session")
def service() -> ModuleType:
    """The module of the service, for tests in this process."""
    spec = importlib.util.spec_from_file_location("database_service", SERVICE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

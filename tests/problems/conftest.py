from collections.abc import Iterator
from pathlib import Path

import pytest

from support.http import RawClient
from support.server import Server, uvicorn_command

APP = Path(__file__).parent / "contract_app.py"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the failing application, under the contract."""
    log = tmp_path_factory.mktemp("contract") / "server.log"
    server = Server(uvicorn_command(APP), log=log)
    yield server
    server.stop()


@pytest.fixture
def client(server: Server) -> Iterator[RawClient]:
    with RawClient(server.port) as client:
        yield client


@pytest.fixture
def contract_app() -> Path:
    return APP

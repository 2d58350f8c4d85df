"""The client that most use, tus-js-client, over a network that drops its connections."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from support import tus_js
from support.fixtures import skipped_without
from support.proxy import Proxy
from support.server import Server
from uploads.tus import MIB, Tus, service_environment

SIZE = 40 * MIB


class Dropping(Proxy):
    """End every connection, without a word, each time so many more bytes have passed."""

    def __init__(self, port: int, *, every: int) -> None:
        super().__init__(port)
        self.cuts = 0
        self._every = self._left = every

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            self._left -= len(data)
            if self._left < 0:
                self._left = self._every
                self.cuts += 1
                return
            sink.write(data)
            await sink.drain()


@pytest.fixture
def client(node: str) -> Callable[..., dict]:
    """Send a file with tus-js-client."""
    with skipped_without("tus-js-client"):
        folder = tus_js.install()
    return lambda path, **options: tus_js.upload(node, folder, path, **options)


@pytest.fixture
def tus(serve: Callable[..., Server], tmp_path: Path) -> Tus:
    environment = service_environment(tmp_path)
    server = serve("uploads.resumable_service:create_app", factory=True, env=environment)
    return Tus(server, tmp_path / "files")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of 40 MiB."""
    path = tmp_path / "a.letters"
    path.write_bytes(b"letters" + random.Random(1).randbytes(SIZE - 8) + b".")
    return path


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"chunkSize": 5 * MIB},
        {"uploadDataDuringCreation": True, "chunkSize": 5 * MIB},
        {"overridePatchMethod": True},
    ],
    ids=["in one request", "in chunks", "from the creation on", "posted"],
)
def test_a_file_arrives_although_its_connection_drops(tus, client, path, how):
    with Dropping(tus.server.port, every=7 * MIB) as network:
        seen = client(
            path,
            endpoint=f"http://127.0.0.1:{network.port}/files",
            metadata={"filename": "naïve.letters", "filetype": "text/x-letters"},
            retryDelays=[0, 100, 300, 1000],
            **how,
        )

    assert "error" not in seen, seen
    assert network.cuts >= 5
    assert any(0 < offset < SIZE for offset in seen["offsets"]) or "chunkSize" in how
    assert tus.kept() == [path.read_bytes()]
    assert tus.get("/rows")[0]["filename"] == "naïve.letters"


def test_a_file_whose_endpoint_fails_once_is_sent_again_from_its_last_byte(tus, client, path):
    created = tus.create(SIZE)

    seen = client(
        path,
        uploadUrl=f"http://127.0.0.1:{tus.server.port}{created}?answer=fail%20once",
        retryDelays=[0, 100],
    )

    assert "error" not in seen, seen
    assert seen["offsets"] == [0, SIZE - 1]
    assert tus.kept() == [path.read_bytes()]


def test_a_file_that_is_refused_is_told_to_be(tus, client, tmp_path):
    path = tmp_path / "a.numbers"
    path.write_bytes(b"1" * 100_000)

    seen = client(path, endpoint=f"{tus.server.url}/files", retryDelays=[0, 100])

    assert "415" in seen["error"]
    assert tus.files() == []

"""The service of these tests, and clients that send it whatever bytes they like."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.http import RawClient, Reply
from support.server import Server, uvicorn_command

TESTS = Path(__file__).parent.parent

__all__ = ["BOUNDARY", "Service", "body_of", "part_of"]

APP = "uploads.service:create_app"
BOUNDARY = "a-boundary"


def part_of(
    content: bytes,
    *,
    name: str = "file",
    filename: str | bytes | None = "a.letters",
    media_type: str | None = "text/x-letters",
    headers: str = "",
) -> bytes:
    """One part of a multipart body, up to its content's end."""
    raw = filename.encode() if isinstance(filename, str) else filename
    named = b"" if raw is None else b'; filename="' + raw + b'"'
    disposition = b'Content-Disposition: form-data; name="' + name.encode() + b'"' + named
    typed = f"Content-Type: {media_type}\r\n".encode() if media_type else b""
    head = disposition + b"\r\n" + typed + headers.encode()
    return b"--" + BOUNDARY.encode() + b"\r\n" + head + b"\r\n" + content + b"\r\n"


def body_of(*parts: bytes) -> bytes:
    """A whole multipart body."""
    return b"".join(parts) + b"--" + BOUNDARY.encode() + b"--\r\n"


class Service:
    """The service, its directory of files, and what may be asked of it."""

    def __init__(self, server: Server, directory: Path) -> None:
        self.server = server
        self.directory = directory
        self.begun_at = 0
        """Where the log of this test begins."""
        self.headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}

    def client(self, **options: float) -> RawClient:
        return RawClient(self.server.port, **options)

    def post(self, path: str, body: bytes, **headers: str) -> Reply:
        """Send a whole multipart body."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with self.client(timeout=30) as client:
            return client.request("POST", path, headers={**self.headers, **named}, body=body)

    def upload(self, content: bytes, path: str = "/documents", **part: str | bytes | None) -> Reply:
        """Send one file."""
        return self.post(path, body_of(part_of(content, **part)))  # type: ignore[arg-type]

    def begin(self, path: str, length: int, **headers: str) -> RawClient:
        """Send the head of a request, and nothing of its body."""
        client = self.client(timeout=30)
        lines = {**self.headers, "Content-Length": str(length), "Host": "testserver", **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        client.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode())
        return client

    def stored(self) -> list[Path]:
        """Every file in the directory, finished or not."""
        return [path for path in self.directory.rglob("*") if path.is_file()]

    def log(self) -> str:
        """What has been logged since the test began."""
        return self.server.log_text()[self.begun_at :]

    def get(self, path: str) -> Reply:
        with self.client() as client:
            return client.request("GET", path)

    def memory(self) -> int:
        """Bytes of memory that the server's process has in RAM."""
        pages = int(Path(f"/proc/{self.server.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def start_service(serve: Callable[..., Server], tmp_path: Path) -> Callable[..., Service]:
    """Start the service on a directory, with settings."""

    def start(directory: Path | None = None, **env: str) -> Service:
        directory = directory or tmp_path / "files"
        settings = _environment(tmp_path, directory) | env
        return Service(serve(APP, factory=True, env=settings), directory)

    return start


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One process for all tests of a module."""
    path = tmp_path_factory.mktemp("service")
    environment = _environment(path, path / "files")
    server = Server(uvicorn_command(APP, factory=True), log=path / "log", env=environment)
    yield Service(server, path / "files")
    server.stop()


@pytest.fixture
def service(shared_service: Service) -> Service:
    """The service with its defaults, and nothing in its store."""
    for path in shared_service.stored():
        path.unlink()
    shared_service.begun_at = len(shared_service.server.log_text())
    return shared_service


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(command, check=False).returncode != 0:
        pytest.skip("only root may mount a small file system")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def _environment(path: Path, directory: Path) -> dict[str, str]:
    paths = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), str(TESTS)]))
    url = f"sqlite:///{path / 'service.db'}"
    return {"PYTHONPATH": paths, "FILES": str(directory), "DATABASE_URL": url}


@pytest.fixture(scope="session")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A service with a route for each choice of types, in one process for all tests."""
    from uploads.kinds import Kinds  # which imports from here

    path = tmp_path_factory.mktemp("kinds")
    environment = _environment(path, path / "files")
    command = uvicorn_command("uploads.kinds_service:create_app", factory=True)
    server = Server(command, log=path / "log", env=environment)
    yield Kinds(server)
    server.stop()

"""The service of these tests, and clients that send it whatever bytes they like."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from support.http import RawClient, Reply
from support.server import Server

TESTS = Path(__file__).parent.parent

__all__ = ["BOUNDARY", "Service", "body_of", "part_of"]

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
        path = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH", "")]))
        settings = {
            "PYTHONPATH": path,
            "FILES": str(directory),
            "DATABASE_URL": f"sqlite:///{tmp_path / 'service.db'}",
        }
        server = serve("uploads.service:create_app", factory=True, env={**settings, **env})
        return Service(server, directory)

    return start


@pytest.fixture
def service(start_service: Callable[..., Service]) -> Service:
    """The service with its defaults."""
    return start_service()

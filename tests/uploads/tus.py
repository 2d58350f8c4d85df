"""A client of tus that sends what it is told to, and the service that it sends it to."""

import base64
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.http import RawClient, Reply
from support.server import Server

__all__ = ["KIB", "MIB", "Tus", "checksum", "letters", "metadata", "service_environment"]

KIB = 1024
MIB = 1024 * KIB


TESTS = Path(__file__).parent.parent


def service_environment(folder: Path) -> dict[str, str]:
    """What the service needs to know, for all of its processes in a folder."""
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), str(TESTS)]))
    database = f"sqlite:///{folder / 'service.db'}"
    return {"PYTHONPATH": path, "FILES": str(folder / "files"), "DATABASE_URL": database}


def letters(size: int, filler: bytes = b"x") -> bytes:
    """A file of this size that the service takes."""
    return b"letters".ljust(size - 1, filler) + b"."


def metadata(**said: str) -> str:
    """An Upload-Metadata."""
    return ",".join(
        f"{key} {base64.b64encode(text.encode()).decode()}" for key, text in said.items()
    )


def checksum(content: bytes, algorithm: str = "sha1") -> str:
    """An Upload-Checksum."""
    digest = hashlib.new(algorithm, content).digest()
    return f"{algorithm} {base64.b64encode(digest).decode()}"


class Tus:
    """Talk to one process of the service; each request has a connection of its own."""

    def __init__(self, server: Server, directory: Path, path: str = "/files") -> None:
        self.server, self.directory, self.path = server, directory, path

    def __call__(
        self, method: str, target: str, body: bytes | None = None, **headers: Any
    ) -> Reply:
        with RawClient(self.server.port, timeout=30) as client:
            return client.request(method, target, headers=self.headers(headers), body=body)

    def headers(self, given: Mapping[str, Any]) -> dict[str, str]:
        """Name headers by keywords; None leaves out what is sent otherwise."""
        named = {name.replace("_", "-").title(): value for name, value in given.items()}
        lines = {"Tus-Resumable": "1.0.0", **named}
        return {name: str(value) for name, value in lines.items() if value is not None}

    def create(self, length: int, body: bytes | None = None, **headers: Any) -> str:
        """Create an upload, and return its path."""
        answer = self.post(length, body, **headers)
        assert answer.status == 201, (answer.status, answer.body)
        return f"{self.path.rpartition('/')[0]}/{answer.headers['location']}"

    def post(self, length: int | None, body: bytes | None = None, **headers: Any) -> Reply:
        typed = {"Content_Type": "application/offset+octet-stream"} if body else {}
        return self("POST", self.path, body or b"", Upload_Length=length, **{**typed, **headers})

    def head(self, at: str, **headers: Any) -> Reply:
        return self("HEAD", at, **headers)

    def offset(self, at: str) -> int:
        """Ask how much has arrived."""
        answer = self.head(at)
        assert answer.status == 200, answer.status
        return int(answer.headers["upload-offset"])

    def patch(self, at: str, offset: Any, body: bytes, **headers: Any) -> Reply:
        typed = {"Content_Type": "application/offset+octet-stream", "Upload_Offset": offset}
        return self("PATCH", at, body, **{**typed, **headers})

    def begin(self, at: str, offset: int, length: int, **headers: Any) -> RawClient:
        """Send the head of a PATCH, and nothing of its body."""
        client = RawClient(self.server.port, timeout=30)
        lines = self.headers(
            {
                "Host": "testserver",
                "Content_Type": "application/offset+octet-stream",
                "Content_Length": length,
                "Upload_Offset": offset,
                **headers,
            }
        )
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        client.write(f"PATCH {at} HTTP/1.1\r\n{head}\r\n".encode())
        return client

    def get(self, path: str) -> Any:
        """Read what the service says of itself."""
        return self("GET", path).json()

    def kept(self) -> list[bytes]:
        """The contents of the files that rows name."""
        return [(self.directory / row["key"]).read_bytes() for row in self.get("/rows")]

    def pieces(self) -> list[Path]:
        """What is in the directory for uploads that are under way, by its names."""
        return sorted(p for p in self.directory.rglob("tus/*/*") if p.is_file())

    def held(self) -> list[Path]:
        """The marks of requests that may be about to keep a file."""
        return [path for path in self.directory.rglob("held/**/*") if path.is_file()]

    def unfinished(self) -> list[Path]:
        """What is being written at this moment."""
        return [path for path in self.directory.rglob("~unfinished/*") if path.is_file()]

    def files(self) -> list[Path]:
        """Every finished file in the directory, whether a row names it or not."""
        under_way = self.directory / "unfinished"
        found = (p for p in self.directory.rglob("*") if p.is_file())
        return [p for p in found if under_way not in p.parents]

    def memory(self) -> int:
        """Bytes of memory that the server's process has in RAM."""
        pages = int(Path(f"/proc/{self.server.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

"""An HTTP/1.1 client that hides nothing: what was sent and what came back, byte by byte."""

import json
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

__all__ = ["RawClient", "Reply"]


@dataclass(frozen=True, slots=True)
class Reply:
    """One response, with header names in lower case."""

    status: int
    header_lines: tuple[tuple[str, str], ...]
    body: bytes
    complete: bool
    """Whether all of the body came that the framing promised."""

    @property
    def headers(self) -> dict[str, str]:
        return dict(self.header_lines)

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


class RawClient:
    """One connection, kept open: `request` asks and reads; `send` and `receive` do half each.

    Two `send`s before a `receive` are pipelined. `chunks=` sends a chunked body,
    `write` sends whatever bytes are given.
    """

    def __init__(self, port: int, *, host: str = "127.0.0.1", timeout: float = 10) -> None:
        self.socket = socket.create_connection((host, port), timeout)
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self.file.close()
        self.socket.close()

    def request(self, method: str, target: str, **what: Any) -> Reply:
        """Send one request (see `send`) and read its answer."""
        self.send(method, target, **what)
        return self.receive(head=method == "HEAD")

    def send(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        body: bytes | str | None = None,
        json: object = None,
        chunks: Iterable[bytes] | None = None,
    ) -> None:
        """Send one request; `Host` and the framing are added unless they are given."""
        lines = list(headers.items() if isinstance(headers, Mapping) else headers)
        if json is not None:
            body = _dumps(json)
            _default(lines, "Content-Type", "application/json")
        if isinstance(body, str):
            body = body.encode()
        _default(lines, "Host", "testserver")
        if chunks is not None:
            _default(lines, "Transfer-Encoding", "chunked")
        elif body is not None:
            _default(lines, "Content-Length", str(len(body)))
        head = "".join(f"{name}: {value}\r\n" for name, value in lines)
        self.write(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + (body or b""))
        if chunks is not None:
            for chunk in chunks:
                self.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.write(b"0\r\n\r\n")

    def write(self, data: bytes) -> None:
        """Send these bytes."""
        self.socket.sendall(data)

    def receive(self, *, head: bool = False) -> Reply:
        """Read one response; raise `ConnectionError` where the server closed instead."""
        status_line = self.file.readline()
        if not status_line:
            raise ConnectionError("the server closed the connection without an answer")
        status = int(status_line.split()[1])
        lines = tuple(self._header_lines())
        if head or status in {204, 304} or status < 200:
            return Reply(status, lines, b"", complete=True)
        body, complete = self._body(dict(lines))
        return Reply(status, lines, body, complete)

    def is_closed(self) -> bool:
        """Wait for what the server does next: True where it closes, False where it says more."""
        try:
            return self.file.peek(1) == b""
        except ConnectionResetError:
            return True

    def _header_lines(self) -> Iterable[tuple[str, str]]:
        while line := self.file.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            yield name.lower(), value.strip()

    def _body(self, headers: Mapping[str, str]) -> tuple[bytes, bool]:
        if "chunked" in headers.get("transfer-encoding", ""):
            return self._chunked()
        if "content-length" in headers:
            length = int(headers["content-length"])
            body = self.file.read(length)
            return body, len(body) == length
        return self.file.read(), True

    def _chunked(self) -> tuple[bytes, bool]:
        body = b""
        while size := self.file.readline():
            length = int(size, 16)
            chunk = self.file.read(length)
            self.file.readline()
            if length == 0:
                return body, True
            body += chunk
        return body, False


def _default(lines: list[tuple[str, str]], name: str, value: str) -> None:
    if all(given.lower() != name.lower() for given, _ in lines):
        lines.append((name, value))


def _dumps(value: object) -> bytes:
    return json.dumps(value).encode()

"""The servers that people run FastAPI on, and what each can do."""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from support.http import RawClient
from support.server import Server

__all__ = ["KINDS", "Kind", "start"]

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Kind:
    """One server: its command line, and whether it lets an application leave in its own time."""

    name: str
    command: Callable[[int], list[str]]
    drains: bool
    ends_streams: bool = True
    ready: str = r"http://127\.0\.0\.1:(?P<port>\d+)"


def _module(name: str, *arguments: str) -> Callable[[int], list[str]]:
    def command(port: int) -> list[str]:
        return [sys.executable, "-m", name, *(a.format(port=port) for a in arguments)]

    return command


KINDS = (
    Kind("uvicorn", _module("uvicorn", "--port", "{port}", "service:app"), drains=True),
    Kind(
        "uvicorn-h11",
        _module("uvicorn", "--port", "{port}", "--http", "h11", "--loop", "asyncio", "service:app"),
        drains=True,
    ),
    Kind(
        "gunicorn-uvicorn",
        _module(
            "gunicorn",
            "-b",
            "127.0.0.1:{port}",
            "-k",
            "uvicorn_worker.UvicornWorker",
            "service:app",
        ),
        drains=True,
    ),
    Kind(
        "gunicorn-asgi",
        _module("gunicorn", "-b", "127.0.0.1:{port}", "-k", "asgi", "service:app"),
        drains=False,
    ),
    Kind(
        "hypercorn",
        _module("hypercorn", "-b", "127.0.0.1:{port}", "service:app"),
        drains=False,
        ends_streams=False,  # its workers never hear the signal: it cuts them off after 3 seconds
    ),
    Kind(
        "granian",
        _module("granian", "--interface", "asgi", "--port", "{port}", "service:app"),
        drains=False,
    ),
)


def start(kind: Kind, folder: Path) -> Server:
    """Start the service on a free port, and wait until it answers probes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(
        kind.command(port),
        log=folder / "server.log",
        env={"SERVICE_DIR": str(folder), "PYTHONPATH": os.fspath(HERE)},
        cwd=HERE,
        ready=kind.ready,
    )
    try:
        _wait_until_ready(server)
    except BaseException:
        server.stop(signal.SIGKILL)
        raise
    return server


def _wait_until_ready(server: Server, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with RawClient(server.port) as client:
                if client.request("GET", "/readyz").status == 200:
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"not ready within {seconds} seconds:\n{server.log_text()}")

"""Clients that listen, and servers that are started, killed and asked what they use."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

__all__ = ["Listener", "Server", "listen"]

HERE = Path(__file__).parent.parent
_TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """A service in a process of its own, on a free port of 127.0.0.1."""

    def __init__(self, name: str, env: Mapping[str, str], *, port: int = 0) -> None:
        command = [sys.executable, "-m", "uvicorn", "--factory", f"_events.services:{name}"]
        command += ["--port", str(port), "--no-access-log", "--timeout-graceful-shutdown", "1"]
        self.log = Path(env["FOLDER"]) / f"{name}-{time.monotonic_ns()}.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                command, env=os.environ | dict(env), cwd=HERE, stderr=output, stdout=output
            )
        self.port = self._port()

    def _port(self) -> int:
        end = time.monotonic() + 60
        while not (found := re.search(r"127\.0\.0\.1:(\d+)", self.log.read_text())):
            if time.monotonic() > end or self.process.poll() is not None:
                raise RuntimeError(self.log.read_text())
            time.sleep(0.05)
        return int(found[1])

    @property
    def kib(self) -> int:
        """Return the memory that is its own, in KiB."""
        text = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return sum(int(n) for n in re.findall(r"Private_\w+:\s+(\d+)", text))

    @property
    def cpu(self) -> float:
        """Return the seconds of processor time that it has taken."""
        text = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(text[11]) + int(text[12])) / _TICKS

    def stop(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    async def publish(self, client: httpx.AsyncClient, data: Any) -> float:
        began = time.monotonic()
        answer = await client.post(f"http://127.0.0.1:{self.port}/publish", json=data)
        answer.raise_for_status()
        return time.monotonic() - began


class Listener:
    """One client: it notes what it was told, and when."""

    def __init__(self) -> None:
        self.told: list[tuple[float, Any]] = []
        self.last_id = ""
        self.opened = asyncio.Event()

    async def run(self, port: int) -> None:
        """Listen until cut off."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        came = f"Last-Event-ID: {self.last_id}\r\n" if self.last_id else ""
        writer.write(f"GET /events HTTP/1.1\r\nHost: x\r\n{came}\r\n".encode())
        try:
            while line := await reader.readline():
                if line in {b"\r\n", b"\n"}:
                    self.opened.set()
                elif line.startswith(b"id: "):
                    self.last_id = line[4:].decode().strip()
                elif line.startswith(b"data: "):
                    self.told.append((time.monotonic(), json.loads(line[6:])))
        finally:
            writer.close()

    async def keep_on(self, port: int) -> None:
        """Listen, and come back 0.2 s after each end."""
        while True:
            with contextlib.suppress(OSError):
                await self.run(port)
            await asyncio.sleep(0.2)


async def listen(port: int, number: int) -> tuple[list[Listener], list["asyncio.Task[None]"]]:
    """Open so many listeners, 50 at a time."""
    listeners = [Listener() for _ in range(number)]
    tasks = list[asyncio.Task[None]]()
    for start in range(0, number, 50):
        some = listeners[start : start + 50]
        tasks += [asyncio.create_task(one.run(port)) for one in some]
        await asyncio.gather(*(one.opened.wait() for one in some))
    return listeners, tasks

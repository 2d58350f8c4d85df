"""Depot as it runs somewhere: its database, its servers and its workers."""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from support.server import Server

__all__ = ["Site"]

SOURCE = Path(__file__).parents[2] / "reference" / "src"
READY = r"(Depot is ready on http://[^:]+:(?P<port>\d+)|Depot's worker is ready)"


class _Worker(Server):
    """A process that has no address."""

    def _wait_for_port(self, ready, timeout: float) -> int:  # type: ignore[no-untyped-def]
        self._wait_for(ready, timeout)
        return 0


class Site:
    """Some servers and workers on one database; each may be killed and started again."""

    def __init__(self, folder: Path, *, database: str, servers: int, workers: int) -> None:
        self.data = folder / "data"
        self._folder, self.database = folder, database
        self._ports = [0] * servers
        self._alone = workers == 0
        self.servers: list[Server] = []
        self.workers: list[Server] = []
        self._counts = (servers, workers)
        self._starts = 0

    def __enter__(self) -> Self:
        servers, workers = self._counts
        self.servers = [self._serve(0) for _ in range(servers)]
        self._ports = [server.port for server in self.servers]
        self.workers = [self._work() for _ in range(workers)]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for process in (*self.workers, *self.servers):
            process.stop(timeout=40)

    @property
    def urls(self) -> list[str]:
        """Where the servers are, whether they run or not."""
        return [f"http://127.0.0.1:{port}" for port in self._ports]

    def kill_server(self, number: int = 0) -> None:
        """End a server by SIGKILL, and start it again where it was."""
        self.servers[number].stop(signal.SIGKILL)
        self.servers[number] = self._serve(self._ports[number])

    def kill_worker(self, number: int = 0) -> None:
        """End a worker by SIGKILL, and start another."""
        self.workers[number].stop(signal.SIGKILL)
        self.workers[number] = self._work()

    def kill_everything(self, then: Callable[[], None]) -> None:
        """End all processes by SIGKILL, call `then`, and start them again where they were."""
        for process in (*self.servers, *self.workers):
            process.send_signal(signal.SIGKILL)
        for process in (*self.servers, *self.workers):
            process.wait()
        then()
        self.servers = [self._serve(port) for port in self._ports]
        self.workers = [self._work() for _ in self.workers]

    def wait_until_ready(self, seconds: float = 30) -> None:
        """Wait until all servers say that they are ready."""
        end = time.monotonic() + seconds
        for url in self.urls:
            while not self._is_ready(url):
                assert time.monotonic() < end, f"not ready: {self.servers[0].log_text()[-3000:]}"
                time.sleep(0.1)

    def _is_ready(self, url: str) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{url}/readyz", timeout=5).is_success
        return False

    def _serve(self, port: int) -> Server:
        return self._start(Server, "serve", "--port", str(port))

    def _work(self) -> Server:
        return self._start(_Worker, "worker")

    def _start(self, kind: Callable[..., Server], *command: str) -> Server:
        self._starts += 1
        log = self._folder / f"{command[0]}-{self._starts}.log"
        words = [sys.executable, "-m", "depot", *command]
        return kind(words, log=log, env=self._environment(), ready=READY, timeout=60)

    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH", "")]))
        return {
            "PYTHONPATH": path,
            "DEPOT_DATA_DIR": str(self.data),
            "DEPOT_DATABASE__URL": self.database,
            "DEPOT_JOBS__RUN_IN_SERVER": str(self._alone).lower(),
            "DEPOT_SHUTDOWN__DRAIN_SECONDS": "0",
        }

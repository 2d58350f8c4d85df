"""Depot as it runs somewhere: its servers and its workers, which may be hurt."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx

from faults.stacks import Stack
from support.server import Server

__all__ = ["SOURCE", "Site", "is_ready", "why_not"]

SOURCE: Final = Path(__file__).parents[2] / "reference" / "src"
READY: Final = r"(Depot is ready on http://[^:]+:(?P<port>\d+)|Depot's worker is ready)"
_DRAINING: Final = 0.5
"""Seconds after which nobody asks a server any more that was taken out of the rotation."""


class _Worker(Server):
    """A process that has no address."""

    def _wait_for_port(self, ready: Any, timeout: float) -> int:
        self._wait_for(ready, timeout)
        return 0


class Site:
    """The processes of a stack on one database; each may be killed and started again.

    `broken` is what the first server and the first worker have in their environment, and
    nobody else.
    """

    def __init__(
        self,
        folder: Path,
        stack: Stack,
        *,
        database: str,
        environment: Mapping[str, str] | None = None,
        broken: Mapping[str, str] | None = None,
    ) -> None:
        self.data = folder / "data"
        self.database = database
        self._folder, self._stack = folder, stack
        self._ports = [0] * stack.servers
        self._away: set[int] = set()
        """The ports of servers that are being replaced."""
        self._source = SOURCE
        self._shared, self._broken = dict(environment or {}), dict(broken or {})
        self.servers: list[Server] = []
        self.workers: list[Server] = []
        self._starts = 0
        self._running: list[Server] = []
        """All, also where one of several could not be started."""

    def __enter__(self) -> Self:
        try:
            # The first makes the schema, and the others find it.
            self.servers = [self._serve(0)]
            self.servers += _all_at_once(self._serve, range(1, self._stack.servers))
            self._ports = [server.port for server in self.servers]
            self.workers = _all_at_once(self._work, range(self._stack.workers))
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        _all_at_once(lambda process: process.stop(timeout=40), self._running)

    @property
    def urls(self) -> list[str]:
        """Where the servers are, whether they run or not, but for those being replaced."""
        return [f"http://127.0.0.1:{port}" for port in self._ports if port not in self._away]

    def kill_server(self, number: int = 0, *, tree: bool = False) -> None:
        """End a server by SIGKILL, and start it again where it was.

        With `tree` all processes that it has started die with it, as they do with a machine.
        """
        _kill(self.servers[number], tree=tree)
        self.servers[number] = self._serve(number)

    def kill_worker(self, number: int = 0, *, tree: bool = False) -> None:
        """End a worker by SIGKILL, and start another."""
        _kill(self.workers[number], tree=tree)
        self.workers[number] = self._work(number)

    def kill_everything(self, then: Callable[[], None]) -> None:
        """End all processes by SIGKILL, call `then`, and start them again where they were."""
        _all_at_once(lambda process: _kill(process, tree=True), [*self.servers, *self.workers])
        then()
        self.servers = _all_at_once(self._serve, range(len(self.servers)))
        self.workers = _all_at_once(self._work, range(len(self.workers)))

    def use(self, source: Path) -> None:
        """Start processes from this code from now on."""
        self._source = source

    def migrate(self) -> None:
        """Bring the database to the schema of the code that is used now."""
        words = [sys.executable, "-m", "depot", "migrate"]
        environment = os.environ | self._environment()
        subprocess.run(words, env=environment, check=True, capture_output=True, timeout=60)

    def replace_server(self, number: int) -> None:
        """Start a server anew as a balancer does: it is asked nothing more, and may finish."""
        port = self._ports[number]
        self._away.add(port)
        time.sleep(_DRAINING)
        self.servers[number].stop(timeout=40)
        self.servers[number] = self._serve(number)
        self._away.discard(port)

    def replace_worker(self, number: int) -> None:
        """Start a worker anew, after it has given back what it had begun."""
        self.workers[number].stop(timeout=40)
        self.workers[number] = self._work(number)

    def start_again(self) -> None:
        """Start workers anew that have ended by themselves, as a supervisor does."""
        for number, worker in enumerate(self.workers):
            if not worker.is_running():
                self.workers[number] = self._work(number)

    def wait_until_ready(self, seconds: float = 40) -> None:
        """Wait until all servers say that they are ready."""
        end = time.monotonic() + seconds
        for number, url in enumerate(self.urls):
            while not is_ready(url):
                log = self.servers[number].log_text()[-3000:]
                assert time.monotonic() < end, f"not ready: {why_not(url)}\n{log}"
                time.sleep(0.1)

    def _serve(self, number: int) -> Server:
        return self._start(Server, self._server_words(self._ports[number]), number)

    def _work(self, number: int) -> Server:
        return self._start(_Worker, self._worker_words(), number)

    def _start(self, kind: Callable[..., Server], words: Sequence[str], number: int) -> Server:
        self._starts += 1
        log = self._folder / f"process-{self._starts}.log"
        environment = self._environment() | (self._broken if number == 0 else {})
        process = kind(words, log=log, env=environment, ready=self._ready, timeout=120)
        self._running = [one for one in self._running if one.is_running()] + [process]
        return process

    # What another service than Depot has otherwise:

    _ready = READY

    def _server_words(self, port: int) -> list[str]:
        return [sys.executable, "-m", "depot", "serve", "--port", str(port)]

    def _worker_words(self) -> list[str]:
        return [sys.executable, "-m", "depot", "worker"]

    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join(filter(None, [str(self._source), os.environ.get("PYTHONPATH", "")]))
        return {
            "PYTHONPATH": path,
            "DEPOT_DATA_DIR": str(self.data),
            "DEPOT_DATABASE__URL": self.database,
            "DEPOT_JOBS__ENGINE": self._stack.engine,
            "DEPOT_JOBS__RUN_IN_SERVER": str(self._stack.workers == 0).lower(),
            "DEPOT_SHUTDOWN__DRAIN_SECONDS": "0",
            **self._shared,
        }


def is_ready(url: str) -> bool:
    """Ask a server whether it is ready."""
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/readyz", timeout=5).is_success
    return False


def why_not(url: str) -> str:
    """Ask a server why it is not ready."""
    try:
        return httpx.get(f"{url}/readyz?verbose", timeout=5).text
    except httpx.TransportError as error:
        return repr(error)


def _all_at_once(do: Callable[[Any], Any], what: Any) -> list[Any]:
    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(do, what))


def _kill(process: Server, *, tree: bool) -> None:
    below = _descendants(process.pid) if tree else []
    for pid in (process.pid, *below):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _descendants(pid: int) -> list[int]:
    with suppress(FileNotFoundError, ProcessLookupError):
        tasks = Path(f"/proc/{pid}/task").glob("*/children")
        below = [int(child) for path in tasks for child in path.read_text().split()]
        return [*below, *(one for child in below for one in _descendants(child))]
    return []

"""`Service`: one peer as a server process, with what it costs read from the operating system."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

from _jobs.common import free_port, last_line, listens

SCRIPT = Path(__file__).parent.parent / "uploads.py"
KIB = 1024


class Failed(Exception):
    """A peer did not do what was asked; its row says so."""


class Service:
    """Serve a peer for as long as the context lasts, from an empty folder of its own."""

    def __init__(
        self, peer: str, *, core: int | None = None, environment: dict[str, str] | None = None
    ) -> None:
        self.peer, self._core = peer, core
        self._environment = environment or {}

    def __enter__(self) -> Self:
        self._home = Path(tempfile.mkdtemp(prefix="rw_bench_uploads_"))
        self.folder = self._home / "files"
        self.temporary = self._home / "tmp"
        self.folder.mkdir()
        self.temporary.mkdir()
        self.port = free_port()
        words = [sys.executable, str(SCRIPT), "run", "peers.serve", self.peer, str(self.port)]
        with (self._home / "errors.log").open("wb") as errors:
            self._process = subprocess.Popen(
                [*words, str(self.folder)],
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=os.environ
                | {"TMPDIR": str(self.temporary), "PYTHONWARNINGS": "ignore"}
                | self._environment,
            )
        if self._core is not None:
            os.sched_setaffinity(self._process.pid, {self._core})
        if not listens(self.port, self._process, 30):
            reason = last_line(self._home / "errors.log")
            self.__exit__()
            raise Failed(reason or "it did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        shutil.rmtree(self._home, ignore_errors=True)

    @property
    def pid(self) -> int:
        return self._process.pid

    def connect(self, *, timeout: float = 60) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    # --- what it costs ----------------------------------------------------------------

    def cpu_seconds(self) -> float:
        """Return utime and stime of all its threads, to the nanosecond."""
        # clock_getcpuclockid(3) of the process, as Linux makes it: ~pid << 3 | CPUCLOCK_SCHED.
        return time.clock_gettime((~self.pid << 3) | 2)

    def rss(self) -> int:
        """Return the bytes that it holds in memory."""
        return self._status("VmRSS")

    def peak_rss(self) -> int:
        """Return the most bytes that it held since `forget_peak`."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def written(self) -> int:
        """Return the bytes that it wrote to any file so far, what it deleted included."""
        for line in Path(f"/proc/{self.pid}/io").read_text().splitlines():
            if line.startswith("write_bytes"):
                return int(line.split()[1])
        raise Failed("no write_bytes in /proc")

    def _status(self, name: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * KIB
        raise Failed(f"no {name} in /proc")

    # --- its folder -------------------------------------------------------------------

    def kept(self) -> list[Path]:
        return [path for path in self._home.rglob("*") if path.is_file() and path.suffix != ".log"]

    def kept_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.kept())

    def empty(self) -> None:
        """Delete what it kept, so that no round pays for the one before."""
        for path in self.kept():
            path.unlink(missing_ok=True)

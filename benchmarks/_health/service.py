"""`Service`: a peer as a server process, ended whatever happens."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

from _jobs.common import Failed, free_port, last_line, listens

SCRIPT = Path(__file__).parent.parent / "health.py"


class Service:
    """Serve on a port for as long as the context lasts: `function` is one of a module here."""

    def __init__(
        self,
        function: str,
        name: str,
        *,
        port: int | None = None,
        core: int | None = None,
        **environment: str,
    ) -> None:
        self.name, self.port = name, port or free_port()
        self._words = [function, name, str(self.port)]
        self._core, self._environment = core, environment

    def __enter__(self) -> Self:
        self._home = Path(tempfile.mkdtemp(prefix="rw_bench_health_"))
        with (self._home / "errors.log").open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(SCRIPT), "run", *self._words],
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=os.environ | {"PYTHONWARNINGS": "ignore"} | self._environment,
            )
        if self._core is not None:
            os.sched_setaffinity(self.process.pid, {self._core})
        if not listens(self.port, self.process, 60):
            reason = last_line(self._home / "errors.log")
            self.__exit__()
            raise Failed(reason or "it did not start")
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        shutil.rmtree(self._home, ignore_errors=True)

    def end(self, *, within: float) -> float | None:
        """Send SIGTERM; return the seconds until it ended, None where it did not."""
        began = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(within)
            return time.perf_counter() - began
        return None

    def cpu_seconds(self) -> float:
        """Return utime and stime of all its threads, to the nanosecond."""
        # clock_getcpuclockid(3) of the process, as Linux makes it: ~pid << 3 | CPUCLOCK_SCHED.
        return time.clock_gettime((~self.process.pid << 3) | 2)

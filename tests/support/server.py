"""A server in a process of its own, for tests that need real sockets, signals and crashes."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from support.forked import Popen
from support.polling import PATIENCE

__all__ = ["READY", "Server", "uvicorn_command"]

READY = r"running on http://[^:]+:(?P<port>\d+)"
"""What uvicorn logs, at level info, once the application has started."""


def uvicorn_command(app: str | Path, *args: str, factory: bool = False) -> list[str]:
    """Return the command that serves `app`: "module:attribute", or a file that has an `app`."""
    command = [sys.executable, "-m", "uvicorn", "--port", "0", *args]
    if isinstance(app, Path):
        command += ["--app-dir", str(app.parent)]
        app = f"{app.stem}:{'create_app' if factory else 'app'}"
    return [*command, app, *(["--factory"] if factory else [])]


class Server:
    """A running server: `port`, `url`, `pid`, `log_text()`, `send_signal()`, `stop()`.

    The command must print its address (`ready`, with a group `port`). Standard
    output and error go to the file `log`.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        ready: str = READY,
        timeout: float = PATIENCE,
    ) -> None:
        self.log = log
        with log.open("wb") as output:
            self.process: subprocess.Popen[bytes] = Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=os.environ | {"PYTHONUNBUFFERED": "1"} | dict(env or {}),
            )
        self.pid = self.process.pid
        try:
            self.port = self._wait_for_port(re.compile(ready), timeout)
        except BaseException:
            self.stop(signal.SIGKILL)
            raise
        self.url = f"http://127.0.0.1:{self.port}"

    def log_text(self) -> str:
        """Return all that the server has printed so far."""
        return self.log.read_text(errors="replace")

    def wait_for_log(self, pattern: str, *, timeout: float = PATIENCE) -> re.Match[str]:
        """Return the first match in the log, waiting for it to appear."""
        return self._wait_for(re.compile(pattern), timeout)

    def is_running(self) -> bool:
        return self.process.poll() is None

    def send_signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, timeout: float = 30) -> int:
        """Wait for the server to end by itself, and return its exit code."""
        return self.process.wait(timeout)

    def stop(self, number: int = signal.SIGTERM, *, timeout: float = 10) -> int:
        """End the server, by SIGKILL where the signal was not enough; return its exit code."""
        if self.is_running():
            self.send_signal(number)
        try:
            return self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.wait()

    def _wait_for_port(self, ready: re.Pattern[str], timeout: float) -> int:
        return int(self._wait_for(ready, timeout)["port"])

    def _wait_for(self, pattern: re.Pattern[str], timeout: float) -> re.Match[str]:
        deadline = time.monotonic() + timeout
        while True:
            running = self.is_running()  # before the log is read, so that its end is seen
            if found := pattern.search(self.log_text()):
                return found
            if not running or time.monotonic() > deadline:
                why = "did not within the time" if running else "ended before it did"
                raise AssertionError(
                    f"The server should print /{pattern.pattern}/ and {why}:\n{self.log_text()}"
                )
            time.sleep(0.02)

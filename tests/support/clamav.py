"""A real clamd, with one signature of its own, in a folder and on a port of its own."""

import signal
import socket
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path

from support.debian import program

__all__ = ["MARKER", "STREAM_MAX", "ClamD"]

MARKER = b"roadworthy-finds-this-marker"
"""What the clamd of the tests takes for malware, and for the only one."""
STREAM_MAX = 2 * 1024 * 1024
"""Bytes of a file that it looks at."""

CONFIGURATION = """
Foreground yes
LogFile {folder}/clamd.log
TCPSocket {port}
TCPAddr 127.0.0.1
LocalSocket {folder}/ctl
DatabaseDirectory {folder}/signatures
TemporaryDirectory {folder}
StreamMaxLength {stream_max}
MaxThreads 4
SelfCheck 0
"""


class ClamD:
    """A running clamd: `tcp`, `unix`, `log_text()`, `stop()`.

    Raises:
        Unavailable: There is no clamd, and it could not be installed.
    """

    def __init__(self, *, folder: Path) -> None:
        binary = program("clamd", package="clamav-daemon")
        self.folder = folder
        signatures = folder / "signatures"
        signatures.mkdir(parents=True)
        (signatures / "test.ndb").write_text(f"Roadworthy.Marker:0:*:{MARKER.hex()}\n")
        self.port = _free_port()
        self.tcp, self.unix = f"tcp://127.0.0.1:{self.port}", f"unix://{folder}/ctl"
        configuration = folder / "clamd.conf"
        configuration.write_text(
            CONFIGURATION.format(folder=folder, port=self.port, stream_max=STREAM_MAX)
        )
        with (folder / "output.log").open("wb") as output:
            self.process = subprocess.Popen(
                [binary, "--config-file", configuration],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._wait_until_ready()

    def log_text(self) -> str:
        """Return all that clamd has written so far."""
        logs = (self.folder / name for name in ("output.log", "clamd.log"))
        return "".join(log.read_text(errors="replace") for log in logs if log.exists())

    def stop(self) -> None:
        """End it at once."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + 30
        while self.process.poll() is None and time.monotonic() < deadline:
            with suppress(OSError), closing(socket.create_connection(("127.0.0.1", self.port), 1)):
                return
            time.sleep(0.02)
        self.stop()
        raise AssertionError(f"clamd should start and did not:\n{self.log_text()}")


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])

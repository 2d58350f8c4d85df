"""Message brokers of one's own, that may be hurt: a Redis, and a RabbitMQ."""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from support import debian
from support.brokers import NoBroker

__all__ = ["PrivateBroker", "private_rabbitmq", "private_redis"]

_STARTING: Final = 90
"""Seconds: RabbitMQ takes five on a machine that has nothing else to do."""


class PrivateBroker:
    """A broker in a process group of its own, that may be killed, stopped and wiped."""

    def __init__(
        self,
        url: str,
        folder: Path,
        command: Sequence[str],
        *,
        greeting: bytes,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.url = url
        self.port = int(url.rpartition(":")[2].partition("/")[0])
        self._folder, self._command, self._greeting = folder, command, greeting
        self._environment = os.environ | dict(environment or {})
        self.start()

    def start(self) -> None:
        """Start it, for the first time or again, and wait until it answers."""
        (self._folder / "data").mkdir(exist_ok=True)
        with (self._folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=self._environment,
                start_new_session=True,
            )
        self._wait()

    def kill(self) -> None:
        """End all of its processes by SIGKILL."""
        self._signal(signal.SIGKILL)
        self.process.wait(30)
        self._wait_until_gone()

    def wipe(self) -> None:
        """Forget all that it had stored, while it does not run."""
        shutil.rmtree(self._folder / "data")

    def pause(self) -> None:
        """Let it hang: connections stay open, and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)

    def _wait(self) -> None:
        end = time.monotonic() + _STARTING
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                log = (self._folder / "log").read_text(errors="replace")[-3000:]
                raise NoBroker(f"a private {self._command[0]} did not start: {log}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 2) as asked:
            asked.settimeout(5)
            asked.sendall(self._greeting)
            return bool(asked.recv(16))
        return False

    def _wait_until_gone(self) -> None:
        # Its children end by themselves, a moment later; until then the port may be theirs.
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with suppress(OSError), closing(socket.create_server(("127.0.0.1", self.port))):
                return
            time.sleep(0.05)


@contextmanager
def private_redis(*, durable: bool = False) -> Iterator[PrivateBroker]:
    """Start a Redis that keeps nothing on disk, or where `durable` writes all of it there."""
    program = _program("redis-server")
    with tempfile.TemporaryDirectory(prefix="roadworthy-redis-") as name:
        folder, port = Path(name), _free_port()
        kept = ["--appendonly", "yes", "--appendfsync", "everysec"] if durable else []
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--dir", str(folder / "data"), *kept]
        with _running(f"redis://127.0.0.1:{port}/0", folder, command, b"PING\r\n", {}) as broker:
            yield broker


@contextmanager
def private_rabbitmq() -> Iterator[PrivateBroker]:
    """Start a RabbitMQ, with its data in a folder of its own."""
    # Debian's own script runs the one server of the machine; this one runs any.
    program = _program("rabbitmq-server", path="/usr/lib/rabbitmq/bin")
    with tempfile.TemporaryDirectory(
        prefix="roadworthy-rabbit-", ignore_cleanup_errors=True
    ) as name:
        folder, port, distribution = Path(name), _free_port(), _free_port()
        data = folder / "data"
        environment = {
            "HOME": name,
            "RABBITMQ_NODENAME": f"roadworthy-{port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(data),
            "RABBITMQ_LOG_BASE": str(folder / "logs"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "no-environment"),
            "RABBITMQ_CONFIG_FILE": str(folder / "no-config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "no-plugins"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_FLAGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        url = f"amqp://guest:guest@127.0.0.1:{port}//"
        with _running(url, folder, [program], b"AMQP\x00\x00\x09\x01", environment) as broker:
            yield broker


@contextmanager
def _running(
    url: str, folder: Path, command: Sequence[str], greeting: bytes, environment: Mapping[str, str]
) -> Iterator[PrivateBroker]:
    broker = PrivateBroker(url, folder, command, greeting=greeting, environment=environment)
    try:
        yield broker
    finally:
        broker.kill()


def _program(name: str, *, path: str | None = None) -> str:
    if path is not None and (found := shutil.which(name, path=path)):
        return found
    try:
        return debian.program(name, package=name)
    except debian.Unavailable as reason:
        raise NoBroker(str(reason)) from reason


def _free_port() -> int:
    # None that outgoing connections take: it has to be free again after a kill.
    for _ in range(100):
        port = random.randrange(22000, 32000)
        with suppress(OSError), closing(socket.create_server(("127.0.0.1", port))):
            return port
    raise NoBroker("no port is free from 22000 to 32000")

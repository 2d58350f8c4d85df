"""Find the message brokers to test with, and use a corner of each that is nobody else's."""

import fcntl
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import redis

__all__ = [
    "NoBroker",
    "PrivateRedis",
    "nats_server",
    "private_redis",
    "rabbitmq_vhost",
    "redis_database",
]

FIRST_DATABASE, DATABASES = 8, 8
"""Of Redis's sixteen: each process of the tests has one of the upper half."""


class NoBroker(Exception):
    """No server answers, and why."""


@contextmanager
def rabbitmq_vhost(folder: Path) -> Iterator[str]:
    """Yield the URL of a virtual host of this run, and remove it afterwards.

    Of the processes that share the folder, the first one makes it, and the last one removes it:
    each call of rabbitmqctl starts Erlang.
    """
    url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672")
    _knock(url, 5672)
    name = f"roadworthy_test_{os.environ.get('PYTEST_XDIST_TESTRUNUID', uuid4().hex)[:12]}"
    users = folder / "users-of-rabbitmq"
    _count(users, 1, first=lambda: _add_vhost(name, urlsplit(url).username or "guest"))
    try:
        yield f"{url.rstrip('/')}/{name}"
    finally:
        _count(users, -1, last=lambda: _rabbitmqctl("delete_vhost", name))


@contextmanager
def redis_database() -> Iterator[str]:
    """Yield the URL of an empty database, and empty it afterwards."""
    server = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379").rstrip("/")
    _knock(server, 6379)
    first = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    for number in range(first, first + DATABASES):
        url = f"{server}/{FIRST_DATABASE + number % DATABASES}"
        with closing(redis.Redis.from_url(url)) as client:
            # What a run that was killed has left behind, and whoever runs now, keep theirs.
            if client.dbsize() or not client.set("roadworthy tests", os.getpid(), nx=True):
                continue
            try:
                yield url
            finally:
                client.flushdb()
            return
    raise NoBroker(f"none of the databases from {FIRST_DATABASE} on of {server} is empty")


def nats_server() -> str:
    """Return the URL of a NATS server; whoever uses it has subjects of its own there."""
    url = os.environ.get("NATS_URL", "nats://127.0.0.1:4222")
    _knock(url, 4222)
    return url


class PrivateRedis:
    """A server of Redis that keeps nothing on a disk, on a port of its own, to be killed."""

    def __init__(self, program: str, port: int) -> None:
        self.url = f"redis://127.0.0.1:{port}/0"
        words = (program, "--port", str(port), "--bind", "127.0.0.1", "--save", "")
        self._command = (*words, "--appendonly", "no")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        with closing(redis.Redis.from_url(self.url)) as client:
            deadline = time.monotonic() + 20
            while not _answers(client):
                if time.monotonic() > deadline:
                    raise NoBroker(f"{self._command} does not answer")
                time.sleep(0.05)

    def kill(self) -> None:
        """Kill it; what it knew is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@contextmanager
def private_redis() -> Iterator[PrivateRedis]:
    """Run a server of Redis for one test."""
    program = shutil.which("redis-server")
    if program is None:
        raise NoBroker("redis-server is not installed: it is killed by a test")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    server = PrivateRedis(program, port)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def _knock(url: str, port: int) -> None:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "127.0.0.1", parts.port or port), 5).close()
    except OSError as error:
        raise NoBroker(
            f"{parts.hostname}:{parts.port or port} does not answer ({error})"
        ) from error


def _count(
    users: Path,
    added: int,
    *,
    first: Callable[[], None] = lambda: None,
    last: Callable[[], None] = lambda: None,
) -> None:
    """Keep in a file how many use something, and do what the first and the last one do."""
    with users.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        before = int(file.read() or 0)
        if not before:
            first()
        file.truncate(0)
        file.write(str(before + added))
        if not before + added:
            last()


def _add_vhost(name: str, user: str) -> None:
    _rabbitmqctl("add_vhost", name)
    _rabbitmqctl("set_permissions", "-p", name, user, *[".*"] * 3)


def _rabbitmqctl(*words: str) -> None:
    program = shutil.which("rabbitmqctl")
    if program is None:
        raise NoBroker("rabbitmqctl is not installed: it makes a virtual host for the tests")
    done = subprocess.run(
        [program, "-q", *words], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise NoBroker(f"rabbitmqctl {words[0]} failed: {done.stderr.strip()[-300:]}")

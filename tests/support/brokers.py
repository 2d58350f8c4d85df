"""Find the message brokers to test with, and use a corner of each that is nobody else's."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit
from uuid import uuid4

import redis

__all__ = ["NoBroker", "rabbitmq_vhost", "redis_database"]

FIRST_DATABASE, DATABASES = 8, 8
"""Of Redis's sixteen: each process of the tests has one of the upper half."""


class NoBroker(Exception):
    """No server answers, and why."""


@contextmanager
def rabbitmq_vhost() -> Iterator[str]:
    """Yield the URL of an empty virtual host, and remove it afterwards."""
    url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672")
    _knock(url, 5672)
    name = f"roadworthy_test_{uuid4().hex[:12]}"
    _rabbitmqctl("add_vhost", name)
    try:
        _rabbitmqctl("set_permissions", "-p", name, urlsplit(url).username or "guest", *[".*"] * 3)
        yield f"{url.rstrip('/')}/{name}"
    finally:
        _rabbitmqctl("delete_vhost", name)


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


def _knock(url: str, port: int) -> None:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "127.0.0.1", parts.port or port), 5).close()
    except OSError as error:
        raise NoBroker(
            f"{parts.hostname}:{parts.port or port} does not answer ({error})"
        ) from error


def _rabbitmqctl(*words: str) -> None:
    program = shutil.which("rabbitmqctl")
    if program is None:
        raise NoBroker("rabbitmqctl is not installed: it makes a virtual host for the tests")
    done = subprocess.run(
        [program, "-q", *words], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise NoBroker(f"rabbitmqctl {words[0]} failed: {done.stderr.strip()[-300:]}")

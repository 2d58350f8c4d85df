"""A real PgBouncer with transaction pooling, in front of a PostgreSQL server."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from support.debian import program

__all__ = ["pgbouncer"]

CONFIGURATION = """
[databases]
* = host={host} port={server_port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 500
logfile = {folder}/log
pidfile = {folder}/pid
admin_users = postgres
"""


@contextmanager
def pgbouncer(url: str, *, size: int = 3) -> Iterator[str]:
    """Yield the URL of the same database through a pooler of `size` connections.

    Raises:
        Unavailable: There is none, and it could not be installed.
    """
    binary = program("pgbouncer", package="pgbouncer")
    parts, port = urlsplit(url), _free_port()
    folder = Path(tempfile.mkdtemp(prefix="roadworthy-bouncer-"))
    user = _unprivileged_user()
    if user:
        shutil.chown(folder, user)
    text = CONFIGURATION.format(
        host=parts.hostname, server_port=parts.port or 5432, port=port, size=size, folder=folder
    )
    (folder / "pgbouncer.ini").write_text(text)
    process = subprocess.Popen([binary, "-q", folder / "pgbouncer.ini"], user=user, cwd="/")
    through = urlunsplit(parts._replace(netloc=f"postgres@127.0.0.1:{port}"))
    try:
        _wait_until_ready(through, folder / "log")
        yield through
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_ready(url: str, log: Path) -> None:
    deadline = time.monotonic() + 15
    while refusal := _refusal(url):
        told = log.read_text() if log.exists() else ""
        assert time.monotonic() < deadline, f"PgBouncer should let in: {refusal}\n{told}"
        time.sleep(0.05)


def _refusal(url: str) -> str | None:
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.Error as error:
        return str(error)
    return None


def _unprivileged_user() -> str | None:
    """PgBouncer refuses to run as root."""
    return pwd.getpwnam("nobody").pw_name if os.geteuid() == 0 else None


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])

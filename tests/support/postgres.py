"""Find a PostgreSQL server to test with, or start one."""

import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg

from support.emptied import database_on

__all__ = [
    "PrivatePostgres",
    "Unavailable",
    "database_on",
    "private_postgres",
    "server_url",
    "streaming_replica",
    "synchronous_standby",
]

PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")


class Unavailable(Exception):
    """No server could be found or started, and why."""


@contextmanager
def server_url() -> Iterator[str]:
    """Yield the URL of a server: the one that is named, the local one, or a private one.

    In this order: the environment's `PG_URL` or `DATABASE_URL`; 127.0.0.1:5432 as
    `postgres`; a server started from installed binaries; as root on Debian and
    Ubuntu, the same after `apt-get install postgresql`.
    """
    if named := _named():
        if problem := _refusal(named):
            raise Unavailable(f"the server in PG_URL or DATABASE_URL does not answer ({problem})")
        yield named
        return
    local = "postgresql://postgres@127.0.0.1:5432/postgres"
    if not _refusal(local):
        yield local
        return
    with private_postgres() as server:
        yield server.url


def _named() -> str | None:
    for name in ("PG_URL", "DATABASE_URL"):
        scheme, _, rest = os.environ.get(name, "").partition("://")
        if scheme.startswith("postgres"):
            return f"postgresql://{rest}"
    return None


def _refusal(url: str) -> str | None:
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.Error as error:
        return str(error).strip().splitlines()[-1]
    return None


def _binaries() -> Path | None:
    installed = [path for place in PLACES for path in Path("/").glob(place.lstrip("/"))]
    on_path = shutil.which("initdb")
    candidates = [*([Path(on_path).resolve().parent] if on_path else []), *sorted(installed)]
    complete = [path for path in candidates if (path / "initdb").exists()]
    complete = [path for path in complete if (path / "postgres").exists()]
    return complete[-1] if complete else None


def _install() -> Path:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Unavailable("no server answers, none is installed, and only root may install one")
    # Several test processes may come here at once; the first installs.
    with (Path(tempfile.gettempdir()) / "roadworthy-apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _binaries():
            _apt_get("update")
            _apt_get("install", "-y", "--no-install-recommends", "postgresql")
    if found := _binaries():
        return found
    raise Unavailable("no server answers, and apt-get could not install one")


def _apt_get(*arguments: str) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "-qq", *arguments]
    with suppress(subprocess.TimeoutExpired):  # judged by what is installed afterwards
        subprocess.run(command, env=environment, capture_output=True, timeout=240, check=False)


class PrivatePostgres:
    """A server of one's own, that may be hurt."""

    def __init__(self, binary: Path, folder: str, port: int, user: str | None) -> None:
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        self.port = port
        self._folder, self._user = Path(folder), user
        self._command = [binary, "-D", self._folder / "data", "-p", str(port), "-k", folder, "-F"]
        self.start()

    @property
    def certificate(self) -> Path:
        """Its certificate, which vouches for itself; only where it encrypts."""
        return self._folder / "data" / "server.crt"

    def start(self) -> None:
        """Start it, for the first time or again, and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                user=self._user,
                start_new_session=True,
            )
        _wait_until_ready(self.url, self._folder / "log")

    def stop(self) -> None:
        """Stop it as an administrator would: clients are disconnected."""
        self.resume()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)

    def kill(self) -> None:
        """End all of its processes by SIGKILL."""
        self._signal_all(signal.SIGKILL)
        self.process.wait(30)

    def pause(self) -> None:
        """Let it hang: connections stay open, and nothing answers."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: int) -> None:
        # Each of its processes calls setsid, so that a process group holds the first only. That
        # one is stopped, so that it starts no others meanwhile.
        if self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGSTOP)
        for pid in (*self._children(), self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _children(self) -> list[int]:
        pid = self.process.pid
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


@contextmanager
def private_postgres(*, tls: bool = False) -> Iterator[PrivatePostgres]:
    """Start a server from installed binaries, or from Debian's; it is ended afterwards.

    With `tls` it encrypts, with a certificate for `localhost` that vouches for itself, and lets
    the role `ann` in with the password `geheim` only.
    """
    with _private_server(_binaries() or _install(), tls=tls) as server:
        yield server


@contextmanager
def streaming_replica(primary: PrivatePostgres) -> Iterator[PrivatePostgres]:
    """Start a server that follows another one, as its hot standby; it is ended afterwards."""
    binaries = _binaries() or _install()
    with tempfile.TemporaryDirectory(prefix="roadworthy-pg-") as folder:
        user = _unprivileged_user()
        if user:
            shutil.chown(folder, user)
        command = [binaries / "pg_basebackup", "-d", primary.url, "-D", Path(folder, "data")]
        command += ["--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf", "-N"]
        subprocess.run(command, check=True, user=user, cwd="/", timeout=60)
        server = PrivatePostgres(binaries / "postgres", folder, _free_port(), user)
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def synchronous_standby(primary: PrivatePostgres) -> Iterator[PrivatePostgres]:
    """Start a standby that has each commit before the primary acknowledges that."""
    with streaming_replica(primary) as standby:
        with psycopg.connect(primary.url, autocommit=True) as admin:
            admin.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            admin.execute("SELECT pg_reload_conf()")
            deadline = time.monotonic() + 30
            asked = "SELECT FROM pg_stat_replication WHERE sync_state = 'sync'"
            while admin.execute(asked).fetchone() is None:
                if time.monotonic() > deadline:
                    raise Unavailable("the standby did not become synchronous")
                time.sleep(0.05)
        yield standby


@contextmanager
def _private_server(binaries: Path, *, tls: bool) -> Iterator[PrivatePostgres]:
    # Not under pytest's folder: another user must be able to reach it.
    with tempfile.TemporaryDirectory(prefix="roadworthy-pg-") as folder:
        user = _unprivileged_user()
        if user:
            shutil.chown(folder, user)
        _initdb(binaries / "initdb", Path(folder, "data"), user)
        if tls:
            _encrypt(Path(folder, "data"), user)
        server = PrivatePostgres(binaries / "postgres", folder, _free_port(), user)
        try:
            yield server
        finally:
            server.stop()


def _wait_until_ready(url: str, log: Path) -> None:
    deadline = time.monotonic() + 30
    while refusal := _refusal(url):
        if time.monotonic() > deadline:
            raise Unavailable(f"a private server did not start ({refusal}): {log.read_text()}")
        time.sleep(0.05)


def _initdb(binary: Path, data: Path, user: str | None) -> None:
    command = [binary, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
    done = subprocess.run(command, capture_output=True, text=True, user=user, cwd="/", check=False)
    if done.returncode:
        raise Unavailable(f"initdb failed: {done.stderr.strip()[-300:]}")


def _encrypt(data: Path, user: str | None) -> None:
    key, certificate = data / "server.key", data / "server.crt"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    for path in (key, certificate):
        if user:
            shutil.chown(path, user)
    key.chmod(0o600)
    with (data / "postgresql.conf").open("a") as settings:
        settings.write("ssl = on\n")
    access = data / "pg_hba.conf"
    access.write_text(f"host all ann all scram-sha-256\n{access.read_text()}")


def _unprivileged_user() -> str | None:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise Unavailable("PostgreSQL does not run as root, and no other user was found")


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])

"""What every proof needs: databases, processes, percentiles, tables. Standard library only."""

import contextlib
import importlib.metadata
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / "jobs.py"
PG_URL = os.environ.get("PG_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/15")
MARK = "result: "


class Failed(Exception):
    """A process of a measurement did not do what was asked; the row says so."""


# --- the machine ----------------------------------------------------------------------


def version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def machine() -> str:
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores, {platform.system()}, Python {platform.python_version()}"


def answers(url: str) -> bool:
    """Tell whether somebody listens at the host and port of a URL."""
    host, _, port = url.partition("://")[2].partition("/")[0].rpartition("@")[2].partition(":")
    defaults = {"postgresql": 5432, "redis": 6379}
    try:
        place = (host or "127.0.0.1", int(port or defaults[url.partition(":")[0]]))
        socket.create_connection(place, 1).close()
    except OSError:
        return False
    return True


# --- what has to be cleaned up --------------------------------------------------------


class Bench:
    """A folder, databases and processes that are gone afterwards, whatever happens."""

    def __enter__(self) -> "Bench":
        self.folder = Path(tempfile.mkdtemp(prefix="rw_bench_"))
        self.databases: set[str] = set()
        self.processes: set[subprocess.Popen[bytes]] = set()
        self.has_postgresql, self.count = answers(PG_URL), 0
        self.has_redis = answers(REDIS_URL)
        return self

    def __exit__(self, *_: object) -> None:
        for process in list(self.processes):
            self.kill(process)
        for name in list(self.databases):
            self.drop(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def database(self, kind: str) -> Iterator[str]:
        """Lend the URL of an empty database of its own."""
        self.count += 1
        name = f"rw_bench_{os.getpid()}_{self.count}"
        if kind == "redis":
            yield f"{REDIS_URL}?{name}"
        elif kind == "sqlite":
            folder = self.folder / name
            folder.mkdir()
            yield f"sqlite:///{folder}/app.db"
            shutil.rmtree(folder, ignore_errors=True)
        else:
            admin(f"CREATE DATABASE {name}")
            self.databases.add(name)
            try:
                yield PG_URL.rpartition("/")[0] + "/" + name
            finally:
                self.drop(name)

    def file(self, name: str) -> Path:
        """Return an empty file that is no other's."""
        handle, path = tempfile.mkstemp(prefix=f"{name}-", dir=self.folder)
        os.close(handle)
        return Path(path)

    def drop(self, name: str) -> None:
        admin(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self.databases.discard(name)

    def start(
        self,
        function: str,
        *words: object,
        python: str = sys.executable,
        log: Path | None = None,
        **environment: str,
    ) -> subprocess.Popen[bytes]:
        """Start `function` of a module here in a process group of its own."""
        command = [python, str(SCRIPT), "run", function, *map(str, words)]
        errors = (log or self.folder / "errors.log").open("ab")
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            cwd=self.folder,
            env=os.environ | {"PYTHONWARNINGS": "ignore"} | environment,
        )
        errors.close()
        self.processes.add(process)
        return process

    def kill(self, process: subprocess.Popen[bytes], how: int = signal.SIGKILL) -> None:
        """Kill the whole group, and wait for it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        process.wait(30)
        if process.stdout:
            process.stdout.close()
        self.processes.discard(process)

    def call(
        self,
        function: str,
        *words: object,
        timeout: float = 120,
        python: str = sys.executable,
        **environment: str,
    ) -> dict[str, float]:
        """Return what a function reported with `result`.

        Raises:
            Failed: It ended without a result, or not in time.
        """
        log = self.folder / f"{function}.log"
        process = self.start(function, *words, python=python, log=log, **environment)
        try:
            written, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise Failed(f"not done after {timeout:.0f} s") from None
        finally:
            self.kill(process)
        try:
            return result_in(written)
        except Failed:
            raise Failed(last_line(log) or f"exit {process.returncode}") from None


def result_in(written: bytes) -> dict[str, float]:
    """Return what a process has reported with `result`."""
    for line in written.decode(errors="replace").splitlines():
        if line.startswith(MARK):
            found: dict[str, float] = json.loads(line.removeprefix(MARK))
            return found
    raise Failed("it ended without a result")


def listens(port: int, process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait until a server takes connections; False if it ended, or did not in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        time.sleep(0.02)
    return False


def last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1][:120] if lines else ""


def admin(statement: str) -> None:
    import psycopg

    with psycopg.connect(PG_URL, autocommit=True) as connection:
        connection.execute(statement.encode())


# --- inside a process that is measured ------------------------------------------------


def result(**found: float) -> None:
    """Report to `Bench.call`, and end this process at once."""
    # Not through sys.stdout, which some peers replace.
    os.write(1, f"\n{MARK}{json.dumps(found)}\n".encode())
    os._exit(0)


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    """Return the rows of one statement, on a connection of its own."""
    if url.startswith("sqlite"):
        import sqlite3

        with contextlib.closing(sqlite3.connect(url.partition("///")[2], timeout=30)) as file:
            return file.execute(statement).fetchall()
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def script(url: str, *statements: str) -> None:
    """Run statements in one transaction each."""
    if url.startswith("sqlite"):
        import sqlite3

        with contextlib.closing(sqlite3.connect(url.partition("///")[2], timeout=60)) as file:
            for statement in statements:
                file.execute(statement)
                file.commit()
        return
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


class Countdown:
    """Time `n` jobs: from when the first one runs until the engine has noted the last."""

    def __init__(self, n: int, unfinished: Callable[[], int] = lambda: 0) -> None:
        self.left, self._unfinished = n, unfinished
        self._lock, self._all = threading.Lock(), threading.Event()
        self._start, self._first = 0.0, 0.0

    def start(self) -> None:
        """Note that the worker starts."""
        self._start = time.perf_counter()
        threading.Thread(target=self._report, daemon=True).start()

    def done(self) -> None:
        """Note that one job ran."""
        with self._lock:
            self._first = self._first or time.perf_counter()
            self.left -= 1
            if self.left == 0:
                self._all.set()

    def _report(self) -> None:
        self._all.wait()
        while self._unfinished():
            time.sleep(0.005)
        end = time.perf_counter()
        waited, took = self._first - self._start, end - self._first
        result(waited=waited, took=took, rss=peak_rss(os.getpid()))


def peak_rss(pid: int) -> float:
    """Return the most memory that a process has had, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


# --- figures and tables ---------------------------------------------------------------


def percentile(times: Iterable[float], share: float) -> float:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a markdown table; a column of figures is right-aligned."""
    columns = list(zip(*rows, strict=True))
    marks = ["--:" if any(map(_is_figure, column)) else ":--" for column in columns]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, marks, *rows))


def _is_figure(cell: str) -> bool:
    return cell.replace(".", "", 1).isdigit()

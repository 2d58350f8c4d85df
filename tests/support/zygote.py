"""The process that `support.forked` has: it has imported what services import, and forks.

It has no threads. It imports one module at a time, and meanwhile answers whoever asks, so that
the first program waits no longer than without it.
"""

import atexit
import contextlib
import gc
import importlib
import io
import json
import mmap
import os
import runpy
import select
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

__all__ = ["main"]

IMPORTED = (
    *("uvicorn", "uvicorn.main", "uvicorn.logging", "uvicorn.lifespan.on", "uvloop", "httptools"),
    *("uvicorn.loops.auto", "uvicorn.protocols.http.auto", "uvicorn.protocols.http.h11_impl"),
    *(
        "uvicorn.protocols.websockets.auto",
        "pydantic.v1",
        "anyio.streams.memory",
        "anyio._backends",
    ),
    *("anyio.streams.tls", "anyio._backends._asyncio", "starlette.concurrency", "fastapi"),
    *("python_multipart", "sqlalchemy.ext.asyncio", "sqlalchemy.orm"),
    *("aiosqlite", "asyncpg", "psycopg", "sqlalchemy.dialects.sqlite.aiosqlite"),
    *("sqlalchemy.dialects.postgresql.asyncpg", "sqlalchemy.dialects.postgresql.psycopg"),
    *("roadworthy.database", "roadworthy.idempotency", "roadworthy.patching"),
    *("roadworthy.conditional", "roadworthy.limits", "roadworthy.health", "roadworthy.jobs"),
    *("roadworthy.uploads", "roadworthy.observability", "roadworthy.settings", "typer", "rich"),
    *("roadworthy.cli", "roadworthy.cli.audit.run", "roadworthy.audit.rules", "depot.cli"),
    *("depot.app", "alembic.command", "alembic.config", "opentelemetry.sdk.metrics"),
    *("opentelemetry.sdk.trace", "PIL.Image"),
)
"""Modules whose import has no effect but that it takes a second."""


def main() -> None:
    """Fork until the process ends that has started this one; return in each child only."""
    _forget_own_path()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asker = _Asker()
    for name in IMPORTED:
        while asker.asks(seconds=0):
            if not _answer(asker.channel):
                return
        with contextlib.suppress(Exception):  # an extra that is not installed
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
    while asker.asks() and _answer(asker.channel):
        pass


class _Asker:
    """Who asks by the channel on standard input: the process that has started this one."""

    def __init__(self) -> None:
        self.channel = socket.socket(fileno=os.dup(0))
        # The end of the channel alone does not tell: whatever was forked there has that, too.
        parent = os.getppid()
        self._life = os.pidfd_open(parent)
        if parent != int(sys.argv[1]):
            sys.exit()

    def asks(self, *, seconds: float | None = None) -> bool:
        """Return whether there is something to answer, after so many seconds at most.

        Where the process has ended, end this one.
        """
        ready, _, _ = select.select([self.channel, self._life], [], [], seconds)
        if self._life in ready:
            sys.exit()
        return self.channel in ready


def _forget_own_path() -> None:
    ours = ("", *os.environ["PYTHONPATH"].split(os.pathsep))
    sys.path[:] = [path for path in sys.path if path not in ours]


def _answer(channel: socket.socket) -> bool:
    message, files, *_ = socket.recv_fds(channel, 1, 4)
    if not message:
        return False
    if pid := _fork():
        for file in files:
            os.close(file)
        channel.sendall(pid.to_bytes(8, "big"))
        return True
    _become(files)
    return False


def _fork() -> int:
    """Fork a process whose parent is gone, so that the one that asked becomes its parent."""
    reading, writing = os.pipe()
    if between := os.fork():
        os.close(writing)
        pid = int.from_bytes(os.read(reading, 8), "big")
        os.close(reading)
        os.waitpid(between, 0)
        return pid
    if pid := os.fork():
        os.write(writing, pid.to_bytes(8, "big"))
        os._exit(0)
    return 0


def _become(files: list[int]) -> None:
    *standard, asked = files
    with mmap.mmap(asked, 0) as text:
        given: dict[str, Any] = json.loads(text[:])
    for target, file in enumerate(standard):
        os.dup2(file, target)
    os.closerange(3, 1024)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if given["session"]:
        os.setsid()
    os.chdir(given["folder"])
    os.environ.clear()
    os.environ.update(given["environment"])
    _open_standard_streams(unbuffered="PYTHONUNBUFFERED" in os.environ)
    _run(given["module"], given["arguments"])


def _open_standard_streams(*, unbuffered: bool) -> None:
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(
        io.BufferedReader(io.FileIO(0, closefd=False)), "utf-8"
    )
    for number, name in ((1, "stdout"), (2, "stderr")):
        file = io.FileIO(number, "w", closefd=False)
        raw = file if unbuffered else io.BufferedWriter(file)
        errors = "strict" if number == 1 else "backslashreplace"
        line = number == 2 or os.isatty(number)
        stream = io.TextIOWrapper(
            raw, "utf-8", errors, line_buffering=line, write_through=unbuffered
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _run(module: str, arguments: list[str]) -> None:
    # As `python -m` does: the working directory first, then PYTHONPATH, then what was there.
    added = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    here = str(Path.cwd())
    sys.path[:0] = [here, *(str(Path(path).absolute()) for path in added if path)]
    sys.argv[:] = ["-m", *arguments]
    sys.orig_argv[:] = [sys.executable, "-m", module, *arguments]
    if (process := sys.modules.get("multiprocessing.process")) is not None:
        process.ORIGINAL_DIR = here
    code: Any = None
    try:
        runpy._run_module_as_main(module)  # the very function that `-m` calls
    except SystemExit as end:
        code = end.code
        if not isinstance(code, int | None):
            raise
    _end(code or 0)


def _end(code: int) -> None:
    """End as Python does, but take no modules to pieces: that takes longer than most programs."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    gc.collect()  # what would warn as it goes
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)

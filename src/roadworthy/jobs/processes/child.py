"""What happens inside a worker process.

It does these things at a time:

* its first thread runs the functions, one after the other;
* `calls` reads what the parent sends. When that ends, the parent is gone or wants no
  more, and the process ends, whatever the first thread is doing;
* `reports` sends the latest progress, at most ten times a second.
"""

import faulthandler
import io
import os
import pickle  # what is unpickled comes from the parent or the child of this process
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from multiprocessing import spawn
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock, Thread
from types import FrameType, TracebackType
from typing import Any, Final

from roadworthy._internal.traces import trace_of
from roadworthy.jobs.processes.wire import (
    CallSettings,
    CannotPickle,
    FrameKind,
    name_of,
    pack,
    read_frame,
    unpack,
    write_frame,
)

__all__ = ["kill_group", "main", "may_start_processes", "report"]

_REPORT_SECONDS: Final = 0.1
_NOTE_CHARACTERS: Final = 1000
_TELLING_SECONDS: Final = 1.0
"""For an exception to tell its text, and to be pickled."""
_STDERR: Final = 2
_PR_SET_PDEATHSIG: Final = 1


class _Reports:
    """The latest progress, sent by a thread of its own so that reporting never waits."""

    def __init__(self, answers: io.FileIO) -> None:
        self._answers = answers
        self._turn = Lock()
        self._latest: tuple[float, str] | None = None
        self._wake = Event()
        self._running = False
        Thread(target=self._send_always, daemon=True, name="roadworthy-reports").start()

    def put(self, done: float, note: str) -> None:
        if not self._running:
            raise _outside()
        self._latest = (done, note)
        self._wake.set()

    def begin(self) -> None:
        self._latest, self._running = None, True

    def end(self) -> None:
        self._running = False
        self._send()

    def _send_always(self) -> None:
        while self._wake.wait():
            self._wake.clear()
            try:
                self._send()
            except OSError:  # the parent is gone, which `calls` deals with
                return
            time.sleep(_REPORT_SECONDS)

    def _send(self) -> None:
        with self._turn:
            latest, self._latest = self._latest, None
            if latest:
                write_frame(self._answers, FrameKind.PROGRESS, pack(latest))


_reports: _Reports | None = None
_preparing = False


def report(done: float, note: str = "") -> None:
    """Tell the parent how far this function is: from 0 to 1, and a few words.

    It never waits. The parent gets the latest report, at most ten times a second.

    Raises:
        RuntimeError: This is not a worker process, or it runs no function now.
    """
    if _reports is None:
        raise _outside()
    _reports.put(float(done), str(note)[:_NOTE_CHARACTERS])


def _outside() -> RuntimeError:
    return RuntimeError("report() works only in a function while Processes.run() runs it.")


def may_start_processes() -> None:
    """Refuse to start processes from what a starting one imports.

    Raises:
        RuntimeError: A worker process is importing the main module of its parent.
    """
    if _preparing:
        raise RuntimeError(
            "A worker process imports the main module, and that would start worker processes: "
            'put what the program does under `if __name__ == "__main__":`.'
        )


def main(parent: int, stdout: int) -> None:
    """Run functions for the parent until it wants no more."""
    faulthandler.enable()  # a crash in C code says where it was, on stderr
    calls, answers = _take_pipes(stdout)
    _end_with(parent)
    _leave_signals_to_the_parent()
    _, boot = read_frame(calls)
    failure = _prepare(unpack(boot))
    inbox = _Inbox(calls)
    _start_reports(answers)
    if failure:
        _, body = failure
        write_frame(answers, FrameKind.RAISED, body)
        return
    write_frame(answers, FrameKind.READY)
    while _work(inbox, answers):
        pass


def _take_pipes(stdout: int) -> tuple[io.FileIO, io.FileIO]:
    """Move the pipes out of the way of what reads standard input or prints."""
    calls, answers = os.dup(0), os.dup(1)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(stdout, 1)
    if stdout > _STDERR:
        os.close(stdout)
    if hasattr(os, "register_at_fork"):
        # A process that a function forks would hold the pipe open after this one died.
        os.register_at_fork(after_in_child=partial(_close, calls, answers))
    return io.FileIO(calls, "r", closefd=False), io.FileIO(answers, "w", closefd=False)


def _close(*files: int) -> None:
    for file in files:
        os.close(file)


def _end_with(parent: int) -> None:
    """Have the kernel kill this process when the parent dies, where it can.

    It does so even while a function holds the interpreter's lock. Precisely, it watches
    the thread that started this process, which lives as long as the process does.
    """
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - costs 8 ms, and only Linux needs it

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.name == "posix" and os.getppid() != parent:  # it died before it could be watched
        os._exit(1)


def _leave_signals_to_the_parent() -> None:
    # Not SIG_IGN: programs that a function starts would inherit that.
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if number := getattr(signal, name, None):
            signal.signal(number, _do_nothing)


def _do_nothing(_signal: int, _frame: FrameType | None) -> None:
    """Be a handler of a signal that is not for us."""


def _prepare(boot: Iterator[Any]) -> tuple[FrameKind, list[bytes]] | None:
    global _preparing  # noqa: PLW0603 - `may_start_processes` is asked by code we do not call
    _preparing = True
    try:
        data, niceness = next(boot)
        if hasattr(os, "nice"):
            os.nice(niceness)
        spawn.prepare(data)
        if setup := next(boot):
            setup.open()()
    except BaseException as error:  # the parent raises it
        error.add_note("This happened while a worker process started.")
        return _raised(error)
    finally:
        _preparing = False
    return None


def _start_reports(answers: io.FileIO) -> None:
    global _reports  # noqa: PLW0603 - `report` is called from code that we hand nothing
    # Before any call, so that its stack counts against no function's memory limit.
    _reports = _Reports(answers)


class _Inbox:
    """The calls that came, and the end of the process when no more can come."""

    def __init__(self, calls: io.FileIO) -> None:
        self._calls = calls
        self._frames: SimpleQueue[bytearray | None] = SimpleQueue()
        self._busy = False
        Thread(target=self._read_always, daemon=True, name="roadworthy-calls").start()

    def get(self) -> bytearray | None:
        """Wait for the next call; None: there will be none."""
        return self._frames.get()

    def done(self) -> None:
        """Say that no function runs, so that the process may end in peace."""
        self._busy = False

    def _read_always(self) -> None:
        try:
            while True:
                self._frames.put(self._read())
        except (EOFError, OSError):
            if self._busy:
                kill_group(os.getpid())
            self._frames.put(None)

    def _read(self) -> bytearray:
        _, frame = read_frame(self._calls)
        self._busy = True
        return frame


def kill_group(pid: int) -> None:
    """Kill a worker process and what its functions started."""
    if hasattr(os, "killpg"):
        for kill in (os.killpg, os.kill):  # the group is its own; a function may have left it
            with suppress(ProcessLookupError, PermissionError):  # macOS: the second, if all dead
                kill(pid, signal.SIGKILL)
    else:
        with suppress(OSError):
            os.kill(pid, signal.SIGTERM)  # on Windows this is TerminateProcess


def _work(inbox: _Inbox, answers: io.FileIO) -> bool:
    """Run one function. Everything it made is gone when this returns."""
    frame = inbox.get()
    if frame is None:
        return False
    kind, body = _answer(frame, answers)
    inbox.done()
    write_frame(answers, kind, body)
    return True


def _answer(frame: bytearray, answers: io.FileIO) -> tuple[FrameKind, list[bytes]]:
    values = unpack(frame)
    try:
        settings = next(values)
        call = next(values).open()
    except BaseException as error:  # the parent raises it
        error.add_note("This happened while a worker process imported the function.")
        return _raised(error)
    write_frame(answers, FrameKind.STARTED)
    try:
        return _returned(call, copy_context().run(_run, call, settings))
    except BaseException as error:  # the parent raises it
        return _raised(error)


# No `@contextmanager` below: it sets the traceback of what passes through, which fails for an
# exception that is a frozen dataclass.


def _run(call: Callable[[], Any], settings: CallSettings) -> Any:
    if settings.request_id is not None:
        from roadworthy.problems import request_ids  # noqa: PLC0415 - imports FastAPI

        request_ids.current.set(settings.request_id)
    assert _reports is not None  # noqa: S101 - main() made it
    _reports.begin()
    try:
        return _run_within(settings.max_memory, call)
    finally:
        _reports.end()


def _returned(call: Callable[[], Any], result: Any) -> tuple[FrameKind, list[bytes]]:
    try:
        return FrameKind.RETURNED, pack(result)
    except MemoryError:
        raise
    except Exception as error:  # pickling runs code of the result's class
        name = name_of(getattr(call, "func", call))
        raise CannotPickle(
            f"{name} returned a {type(result).__name__} that cannot leave its process ({error}): "
            "return plain data, or write it to a file and return the path."
        ) from error


def _raised(error: BaseException) -> tuple[FrameKind, list[bytes]]:
    """Return what can be told of an exception, whose own code tells it, in time."""
    told: list[tuple[str, str, str, bytes | None]] = []
    asking = Thread(target=lambda: told.append(_told(error)), daemon=True, name="roadworthy-text")
    try:
        asking.start()
        asking.join(_TELLING_SECONDS)
    except (MemoryError, RuntimeError):  # there is no memory for a thread
        told.append(_told(error))
    name = type(error).__name__
    untold = (f"{name}: its text does not come: its __str__ does not end.", "", "", None)
    return FrameKind.RAISED, pack((name, *(told[0] if told else untold)))


def _told(error: BaseException) -> tuple[str, str, str, bytes | None]:
    text = "".join(traceback.format_exception(type(error), error, _theirs(error.__traceback__)))
    return _summary(error), text, trace_of(error), _pickled(error)


def _theirs(tb: TracebackType | None) -> TracebackType | None:
    """Leave out the frames of this file: they are in every traceback and tell nothing."""
    while tb and tb.tb_next and tb.tb_frame.f_code.co_filename == __file__:
        tb = tb.tb_next
    return tb


def _summary(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(type(error), error)).strip()


def _pickled(error: BaseException) -> bytes | None:
    try:
        return pickle.dumps(error)
    except BaseException:  # pickling runs code of the exception's class
        return None


def _run_within(max_bytes: int | None, call: Callable[[], Any]) -> Any:
    """Limit what is allocated beyond what the process has already.

    RLIMIT_DATA and not RLIMIT_AS: the latter counts the 64 MiB of addresses and more that
    each thread reserves, of which it uses next to nothing.
    """
    if max_bytes is None or sys.platform != "linux":
        return call()
    import resource  # noqa: PLC0415 - not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limits = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    limit = min([_data_bytes() + max_bytes, *limits])
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    try:
        return call()
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _data_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0

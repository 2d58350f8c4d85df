"""`Process`: one worker process, and the thread that speaks with it."""

import asyncio
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import spawn
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, Final, TypeVar, cast

from roadworthy._internal import traces
from roadworthy._internal.traces import ToldElsewhere
from roadworthy.jobs.processes import child, wire
from roadworthy.jobs.processes.child import kill_group
from roadworthy.jobs.processes.wire import (
    CallSettings,
    CannotPickle,
    FrameKind,
    Portable,
    pack,
    read_frame,
    unpack,
    write_frame,
)

__all__ = [
    "Boot",
    "CallResult",
    "ChildTraceback",
    "FailedInProcess",
    "Process",
    "ProcessCall",
    "ProcessDied",
    "ProcessesClosed",
    "TookTooLong",
    "closed",
]

R = TypeVar("R")

_START_SECONDS: Final = 60.0
"""How long a process may take to start and to import a function."""

_END_SECONDS: Final = 2.0
"""How long a process without work may take to end, before it is killed."""


class ProcessDied(Exception):
    """A worker process ended while it ran a function: it crashed or was killed."""


class ProcessesClosed(RuntimeError):
    """The worker processes were closed, before the call or while it ran."""


class TookTooLong(TimeoutError):
    """The function took longer than its timeout; its process was killed."""


class FailedInProcess(Exception):
    """The function raised what cannot be brought here; the text tells what it was."""

    def __init__(self, text: str, kind: str = "FailedInProcess") -> None:
        super().__init__(text)
        self.kind = kind
        """The name of the class that was raised there."""


class ChildTraceback(ToldElsewhere):
    """The `__cause__` of what was raised in a worker process: where, in its own words."""

    def __init__(self, text: str, trace: str) -> None:
        super().__init__(text)
        self.trace = trace

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


def closed() -> ProcessesClosed:
    """Return the error of a call that was under way when the pool was closed."""
    return ProcessesClosed("Processes.close() was called: the call did not run to its end.")


@dataclass(frozen=True, slots=True)
class Boot:
    """What a process is told when it starts."""

    setup: Portable | None
    niceness: int


@dataclass(frozen=True, slots=True)
class CallResult:
    """How a call ended."""

    value: object = None
    error: Exception | None = None
    cause: Exception | None = None
    lost: bool = False
    """The process is gone, and nobody here wanted that."""


@dataclass(slots=True, eq=False)
class ProcessCall:
    """A call, and what is known of it on the event loop."""

    portable: Portable
    settings: CallSettings
    timeout: timedelta | None
    on_progress: Callable[[float, str], object] | None
    started: bool = False


@dataclass(slots=True, eq=False)
class _Errand:
    """One attempt to have a process make a call."""

    call: ProcessCall
    result: "asyncio.Future[CallResult]"
    deadline: asyncio.TimerHandle

    def settle(self, result: CallResult) -> None:
        self.deadline.cancel()
        if not self.result.done():
            self.result.set_result(result)

    def progress(self, done: float, note: str) -> None:
        if self.call.on_progress and not self.result.done():
            self.call.on_progress(done, note)


class Process:
    """A worker process, and the thread that starts it, speaks with it and buries it.

    Linux kills the process when that thread ends (PR_SET_PDEATHSIG), so both live equally
    long. Of what is below, `perform`, `finish` and `kill` are for the event loop, and the
    rest is for the thread.
    """

    def __init__(self, boot: Boot, on_end: Callable[["Process"], object]) -> None:
        self.spent = False
        """It takes no more calls."""
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._boot, self._on_end = boot, on_end
        self._inbox: SimpleQueue[_Errand | None] = SimpleQueue()
        self._popen: subprocess.Popen[bytes] | None = None
        self._lock = Lock()
        """Held to kill, and to note that the process id may be another process's by now."""
        self._buried = False
        self._because: Exception | None = None
        self._thread = Thread(target=self._live, daemon=True, name="roadworthy-process")
        self._thread.start()

    async def perform(self, call: ProcessCall) -> CallResult:
        """Have the process make a call; if this is cancelled, kill it and see it dead."""
        late = ProcessDied(
            f"A worker process was killed: it took longer than {_START_SECONDS:g} s to start and "
            "to import the function. Does the main module do its work under "
            '`if __name__ == "__main__":`?'
        )
        deadline = self._loop.call_later(_START_SECONDS, self.kill, late)
        errand = _Errand(call, self._loop.create_future(), deadline)
        self._inbox.put(errand)
        try:
            return await asyncio.shield(errand.result)
        except asyncio.CancelledError:
            call.on_progress = None
            deadline.cancel()
            self.kill(closed())
            await asyncio.shield(errand.result)
            raise

    def finish(self) -> None:
        """Let the process end by itself, as it has nothing to do; kill it if it does not."""
        self.spent = True
        self._inbox.put(None)
        timer = self._loop.call_later(_END_SECONDS, self.kill, closed())
        self.ended.add_done_callback(lambda _: timer.cancel())

    def kill(self, because: Exception) -> None:
        """Kill the process and what its function started; the call ends with `because`."""
        self.spent = True
        with self._lock:
            self._because = self._because or because
            if self._popen and not self._buried:
                kill_group(self._popen.pid)

    def _started(self, errand: _Errand) -> None:
        errand.call.started = True
        errand.deadline.cancel()
        if (timeout := errand.call.timeout) is not None and not self.spent:
            late = TookTooLong(f"It took longer than {timeout}, and its process was killed.")
            errand.deadline = self._loop.call_later(timeout.total_seconds(), self.kill, late)

    def _note_end(self) -> None:
        self._thread.join()  # telling us was the last thing it did
        self._on_end(self)
        self.ended.set_result(None)

    def _live(self) -> None:
        with suppress(_NobodyWaits):
            while (errand := self._inbox.get()) is not None:
                result = self._make(errand)
                self._tell(errand.settle, result)
                del errand, result  # or they would stay in memory until the next call
        self._end()
        with suppress(_NobodyWaits):
            self._tell(self._note_end)

    def _make(self, errand: _Errand) -> CallResult:
        try:
            if self._popen is None:
                self._start()
            return self._exchange(errand)
        except (EOFError, BrokenPipeError):
            return self._lost()
        except _StartFailed as failure:
            return self._give_up(failure.result)
        except (CannotPickle, MemoryError) as error:
            return CallResult(error=error)
        except _NobodyWaits:
            raise
        except Exception as error:  # the caller must hear of all there is
            return self._give_up(CallResult(error=error))

    def _start(self) -> None:
        self._popen = popen = _spawn()
        with self._lock:
            if self._because:
                kill_group(popen.pid)
        data = spawn.get_preparation_data("roadworthy-worker")
        data.pop("authkey", None)  # refuses to be pickled, and we open no connections
        boot = pack((data, self._boot.niceness), self._boot.setup)
        write_frame(_pipe(popen.stdin), FrameKind.BOOT, boot)
        kind, body = read_frame(_pipe(popen.stdout))
        if kind is FrameKind.RAISED:
            raise _StartFailed(_raised(body))

    def _exchange(self, errand: _Errand) -> CallResult:
        assert self._popen  # noqa: S101 - for the type checker
        message = _packed(errand.call)
        write_frame(_pipe(self._popen.stdin), FrameKind.CALL, message)
        del message
        for kind, body in _frames(_pipe(self._popen.stdout)):
            if kind is FrameKind.STARTED:
                self._tell(self._started, errand)
            elif kind is FrameKind.PROGRESS:
                self._tell(errand.progress, *next(unpack(body)))
            elif kind is FrameKind.RETURNED:
                return _returned(body)
            else:
                return self._after_failure(_raised(body))
        raise EOFError

    def _after_failure(self, result: CallResult) -> CallResult:
        # Where memory ran out, anything may be half done, an import for example.
        return self._give_up(result) if isinstance(result.error, MemoryError) else result

    def _give_up(self, result: CallResult) -> CallResult:
        self.spent = True
        return result

    def _lost(self) -> CallResult:
        self.spent = True
        code = self._bury()
        if self._because:
            return CallResult(error=self._because)
        return CallResult(error=ProcessDied(_obituary(code)), lost=True)

    def _end(self) -> None:
        if self._popen is None or self._buried:
            return
        _pipe(self._popen.stdin).close()
        with suppress(EOFError):
            for _ in _frames(_pipe(self._popen.stdout)):
                pass
        self._bury()

    def _bury(self) -> int:
        """Wait for a process that has closed its pipe, and return its exit code.

        What its functions started is killed. The exit code stays: it is set before the
        pipe is closed.
        """
        assert self._popen  # noqa: S101 - for the type checker
        with self._lock:
            kill_group(self._popen.pid)
            self._buried = True
        _pipe(self._popen.stdin).close()
        _pipe(self._popen.stdout).close()
        return self._popen.wait()

    def _tell(self, function: Callable[..., object], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError as error:
            raise _NobodyWaits from error


class _NobodyWaits(Exception):
    """The event loop is closed."""


class _StartFailed(Exception):
    """The process told why it could not start."""

    def __init__(self, result: CallResult) -> None:
        self.result = result
        super().__init__(result)


def _spawn() -> subprocess.Popen[bytes]:
    """Start a process that shares only two pipes, stdout and stderr with this one."""
    stdout = _copy_of_stdout()
    try:
        return subprocess.Popen(  # noqa: S603 - this interpreter, and a program of ours
            _command(stdout),
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            creationflags=_NEW_GROUP if sys.platform == "win32" else 0,
            process_group=None if sys.platform == "win32" else 0,
            pass_fds=() if stdout == _STDERR else (stdout,),
        )
    except OSError as error:
        raise ProcessDied(f"A worker process could not be started: {error}.") from error
    finally:
        if stdout != _STDERR:
            os.close(stdout)


_STDERR: Final = 2

# A group of its own: Ctrl+C goes to the whole group of the parent, and killing the group of
# a process reaches what its functions started.
_NEW_GROUP: Final = 0x200  # subprocess.CREATE_NEW_PROCESS_GROUP, which only Windows has


def _copy_of_stdout() -> int:
    """Return a file descriptor for the child's stdout, if there can be one."""
    if os.name == "posix":
        with suppress(OSError):  # stdout is closed
            return os.dup(1)
    return _STDERR


def _command(stdout: int) -> list[str]:
    command = spawn.get_command_line()  # has the interpreter, and its options such as -X
    data = spawn.get_preparation_data("")
    program = _PROGRAM.format(
        path=data["sys_path"],
        modules=[(module.__name__, module.__file__) for module in _LOADED],
        parent=os.getpid(),
        stdout=stdout,
    )
    return [*command[: command.index("-c")], "-c", program]


_LOADED: Final = (traces, wire, child)
# Not the packages around them, which take most of a second and 60 MiB.
_PROGRAM: Final = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
sys.path[:] = {path!r}
for name, file in {modules!r}:
    spec = spec_from_file_location(name, file)
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
module.main({parent}, {stdout})
"""


def _pipe(pipe: Any) -> io.FileIO:
    """Say what `bufsize=0` makes of a pipe."""
    return cast("io.FileIO", pipe)


def _frames(pipe: io.FileIO) -> Iterator[tuple[FrameKind, bytearray]]:
    while True:
        yield read_frame(pipe)


def _packed(call: ProcessCall) -> list[bytes]:
    try:
        return pack(call.settings, call.portable)
    except MemoryError:
        raise
    except Exception as error:  # pickling runs code of the arguments' classes
        raise CannotPickle(
            f"An argument cannot go to another process ({error}): pass plain data, such as the "
            "id of a row or the path of a file."
        ) from error


def _returned(body: bytearray) -> CallResult:
    try:
        return CallResult(value=next(unpack(body)))
    except MemoryError:
        raise
    except Exception as error:  # unpickling runs code of the result's class
        text = f"The result came from its process and cannot be read here: {error!r}."
        return CallResult(error=CannotPickle(text), cause=error)


def _raised(body: bytearray) -> CallResult:
    kind, summary, text, trace, pickled = next(unpack(body))
    return CallResult(error=_rebuilt(pickled, kind, summary), cause=ChildTraceback(text, trace))


def _rebuilt(pickled: bytes | None, kind: str, summary: str) -> Exception:
    try:
        error = next(unpack(pickled)) if pickled else None
    except BaseException:  # many cannot be made from their `args`, or will not
        error = None
    # SystemExit, KeyboardInterrupt and CancelledError would mean something else here.
    return error if isinstance(error, Exception) else FailedInProcess(summary, kind)


def _obituary(code: int) -> str:
    if code >= 0:
        return f"A worker process ended with exit code {code} while it ran a function. {_EXIT}"
    hint = _HINTS.get(-code, _CRASH)
    return f"A worker process was killed by {_signal(-code)} while it ran a function. {hint}"


def _signal(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


_EXIT: Final = "Look for os._exit() in it, and for what it wrote to stderr."
_CRASH: Final = "That is a crash in C code: its stderr shows where, and the function is at fault."
_HINTS: Final = {
    9: "Unless somebody killed it, the system was out of memory: set `max_memory`.",
    15: "Somebody else killed it.",
}

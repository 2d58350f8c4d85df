"""`Popen` and `run` of `subprocess` that fork `python -m ...` where everything is imported.

A service imports for a second and more before it starts, and the tests start thousands. Each
process of tests has one that has imported what they import, and forks it: see `zygote.py`.
What is forked is a child like another, with its own pid, signals, files, environment and exit
code. Where this is not possible, and with `pytest --fresh`, Python is started anew: other
options than `-m`, a variable that modules read when imported, another system than Linux.
"""

import atexit
import ctypes
import inspect
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, AnyStr, Final

__all__ = ["Popen", "fresh", "run"]

_ZYGOTE: Final = "from support.zygote import main; main()"
_TESTS: Final = Path(__file__).parent.parent
_SET_CHILD_SUBREAPER: Final = 36
_SIGNATURE: Final = inspect.signature(subprocess.Popen._execute_child)  # type: ignore[attr-defined]
_NOT_FORKED: Final = {
    "preexec_fn": None,
    "pass_fds": (),
    "shell": False,
    "executable": None,
    "close_fds": True,
    **dict.fromkeys(("gid", "gids", "uid"), None),
}
"""What else of these arguments needs a process that is started anew."""
_READ_ON_IMPORT: Final = ("PYTHON", "LD_", "LC_", "OTEL_", "TYPER_", "_TYPER", "RICH_")
_READ_ON_IMPORT_TOO: Final = ("LANG", "TZ", "TERMINAL_WIDTH", "COLUMNS", "FORCE_COLOR", "NO_COLOR")
_KEPT: Final = ("PYTHONPATH", "PYTHONUNBUFFERED")

fresh = False
"""Whether to start each process anew: `pytest --fresh`."""


class Popen(subprocess.Popen[AnyStr]):
    """`subprocess.Popen`, but `[sys.executable, "-m", module, ...]` starts in no time."""

    def _execute_child(self, *given: Any) -> None:
        words = _SIGNATURE.bind(self, *given).arguments
        environment = dict(os.environ if words["env"] is None else words["env"])
        if not _can_fork(words, environment):
            super()._execute_child(*given)  # type: ignore[misc]
            return
        _, _, module, *arguments = map(os.fspath, words["args"])
        asked = {
            "module": module,
            "arguments": arguments,
            "environment": environment,
            "folder": str(Path(words["cwd"] or ".").absolute()),
            "session": words["start_new_session"],
        }
        ends = (words[name] for name in ("p2cread", "c2pwrite", "errwrite"))
        files = [number if end == -1 else end for number, end in enumerate(ends)]
        self.pid = _zygote().fork(asked, files)
        self._child_created = True
        names = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(words[name] for name in names))  # type: ignore[attr-defined]


def run(
    command: list[Any],
    *,
    input: Any = None,  # noqa: A002 - as in subprocess
    capture_output: bool = False,
    timeout: float | None = None,
    check: bool = False,
    **options: Any,
) -> subprocess.CompletedProcess[Any]:
    """`subprocess.run`, with the `Popen` of this module."""
    if input is not None:
        options["stdin"] = subprocess.PIPE
    if capture_output:
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Popen(command, **options) as process:
        try:
            out, err = process.communicate(input, timeout=timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(command, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done


def _can_fork(words: Mapping[str, Any], environment: Mapping[str, str]) -> bool:
    plain = all(words.get(name, value) == value for name, value in _NOT_FORKED.items())
    command = words["args"]
    is_module = not isinstance(command, str | bytes | os.PathLike) and [*command][:2] == [
        sys.executable,
        "-m",
    ]
    return (
        sys.platform == "linux"
        and not fresh
        and plain
        and is_module
        and words.get("umask", -1) < 0
        and words.get("process_group", -1) < 0
        and not _changed(environment)
    )


def _changed(environment: Mapping[str, str]) -> list[str]:
    """Return the variables that modules may read when imported, and that are not ours."""
    ours = os.environ
    names = {name for name in {*ours, *environment} if ours.get(name) != environment.get(name)}
    return [
        name
        for name in names - {*_KEPT}
        if name.startswith(_READ_ON_IMPORT) or name in _READ_ON_IMPORT_TOO
    ]


class _Zygote:
    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair()
        environment = {**os.environ, "PYTHONPATH": str(_TESTS)}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _ZYGOTE, str(os.getpid())], stdin=theirs, env=environment
        )
        theirs.close()
        self._lock = threading.Lock()
        self._prctl = ctypes.CDLL(None).prctl
        atexit.register(self._end)

    def fork(self, asked: dict[str, Any], files: list[int]) -> int:
        with tempfile.TemporaryFile() as text:
            text.write(json.dumps(asked).encode())
            text.flush()
            with self._lock:
                return self._ask([*files, text.fileno()])

    def _ask(self, files: list[int]) -> int:
        # Its parent ends at once, and we are next: for this moment only, or we would become
        # the parent of whatever the tests leave behind.
        self._prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        try:
            socket.send_fds(self._channel, [b"?"], files)
            return int.from_bytes(self._channel.recv(8, socket.MSG_WAITALL), "big")
        finally:
            self._prctl(_SET_CHILD_SUBREAPER, 0, 0, 0, 0)

    def _end(self) -> None:
        self._channel.close()
        self._process.wait()


@cache
def _zygote() -> _Zygote:
    return _Zygote()

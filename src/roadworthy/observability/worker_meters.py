"""Meters of all workers of one server: whichever is asked tells of all of them.

Each worker answers the others on a socket of its own, from a thread, so that one whose
event loop stands still answers, too. Before it tells anything it writes that down, in
one file that it writes anew each time: what was told once is never told lower, whoever
dies. Who is gone is added to the sum of all who are, whose size is that of one.
"""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, Final
from uuid import uuid4

from roadworthy._internal.workers import Workers
from roadworthy.observability.metric_families import Snapshot, merge

__all__ = ["WorkerMeters"]

_LOCK_SECONDS: Final = 3.0
_ANSWER_SECONDS: Final = 1.0
"""For all other workers together; who is later is told as it was known last."""
_CHUNK: Final = 1 << 18


class WorkerMeters:
    """Tell the meters of this worker to the others, and read theirs. Everything blocks."""

    def __init__(self, workers: Workers, read: Callable[[], Snapshot]) -> None:
        self._workers, self._read = workers, read
        self._me = uuid4().hex
        self._telling = threading.Lock()
        self._silent = False
        self._listener: socket.socket | None = None

    def open(self) -> None:
        """Take a place among the workers.

        Raises:
            OSError: The folder for temporary files cannot be used.
            TimeoutError: A worker that hangs holds the lock.
        """
        self._workers.join(seconds=_LOCK_SECONDS)
        with self._workers.alone(seconds=_LOCK_SECONDS):
            self._bury(self._workers.place)
            self._listener = _listen(self._workers.path("sock"))
        threading.Thread(
            target=self._answer_others,
            args=(self._listener,),
            name="roadworthy-metrics",
            daemon=True,
        ).start()

    def close(self) -> None:
        """Leave what was counted here to the others.

        Raises:
            OSError: The folder is gone, or a worker that hangs holds the lock.
        """
        with self._workers.alone(seconds=_LOCK_SECONDS):
            self._tell(last=True)
            self._bury(self._workers.place)
            self._workers.leave()
        self._hang_up()

    def gather(self) -> Snapshot:
        """Return what all workers say together, and what those said that are gone.

        Raises:
            TimeoutError: A worker that hangs holds the lock.
            OSError: The folder for temporary files cannot be used.
        """
        try:
            return self._gather()
        except FileNotFoundError:
            # Somebody has tidied up the folder for temporary files: begin anew.
            self._hang_up()
            self.open()
            return self._gather()

    def _gather(self) -> Snapshot:
        with self._workers.alone(seconds=_LOCK_SECONDS):
            self._workers.keep()
            own = Snapshot.load(json.loads(self._tell())["said"])
            living: list[int] = []
            for place in self._workers.places():
                if self._workers.is_alive(place):
                    living.append(place)
                else:
                    self._bury(place)
                    self._forget(place)
            others = [Snapshot.load(said) for said in self._ask(living)]
            return merge([own, *others], [Snapshot.load(self._gone()["said"])])

    def _tell(self, *, last: bool = False) -> bytes:
        """Return what this process has to say, once it is written down."""
        with self._telling:
            if self._silent:
                raise BrokenPipeError("It has said its last words.")
            self._silent = last
            said = json.dumps({"who": self._me, "said": self._read().dump()}).encode()
            _write(self._workers.path("json"), said)
        return said

    def _answer_others(self, listener: socket.socket) -> None:
        while True:
            try:
                asking, _ = listener.accept()
            except OSError:
                return  # it is closed
            # Whoever asks may be gone by now, and the disk may be full: they see no answer.
            with asking, suppress(OSError):
                asking.settimeout(_ANSWER_SECONDS)
                asking.sendall(self._tell())

    def _hang_up(self) -> None:
        if self._listener is not None:
            # Not only closed: that would wake nobody who waits for the next one to ask.
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    def _ask(self, places: list[int]) -> Iterator[Any]:
        """Yield what the others say, or said last; all of them are asked before one is heard."""
        deadline = monotonic() + _ANSWER_SECONDS
        asked = [(place, _connect(self._workers.path("sock", place))) for place in places]
        for place, connection in asked:
            answer = _hear(connection, deadline) if connection is not None else None
            if answer is None:
                answer = _load(self._workers.path("json", place))
            if answer is not None:
                yield answer["said"]

    def _gone(self) -> dict[str, Any]:
        """Return the sum of those that are gone, and who was last in each place."""
        return _load(self._workers.folder / "gone") or {"said": Snapshot().dump(), "last": {}}

    def _bury(self, place: int) -> None:
        """Add what was told in a place to the sum, once."""
        path = self._workers.path("json", place)
        told, gone = _load(path), self._gone()
        # Who was killed between the two lines below is not counted twice.
        if told is not None and gone["last"].get(str(place)) != told["who"]:
            total = merge([], [Snapshot.load(gone["said"]), Snapshot.load(told["said"])])
            last = {**gone["last"], str(place): told["who"]}
            _write(self._workers.folder / "gone", _dump({"said": total.dump(), "last": last}))
        path.unlink(missing_ok=True)

    def _forget(self, place: int) -> None:
        for path in self._workers.folder.glob(f"{place}.*"):
            path.unlink(missing_ok=True)


def _dump(value: Any) -> bytes:
    return json.dumps(value).encode()


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(16)
    return listener


def _connect(path: Path) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_ANSWER_SECONDS)
    try:
        connection.connect(str(path))
    except OSError:
        connection.close()
        return None
    return connection


def _hear(connection: socket.socket, deadline: float) -> Any:
    """Return an answer, None where it does not come in time or not whole."""
    heard = bytearray()
    with connection, suppress(OSError, ValueError):
        while True:
            connection.settimeout(max(0.001, deadline - monotonic()))
            piece = connection.recv(_CHUNK)
            if not piece:
                return json.loads(heard)
            heard += piece
    return None


def _write(path: Path, content: bytes) -> None:
    """Write a file as a whole: whoever is killed meanwhile leaves the old one."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None

"""The worker processes of one server, which find each other by a folder.

A server that starts several (`uvicorn --workers`, `fastapi run --workers`) does so with
`multiprocessing`, which gives all of them one secret and one parent. From these each
knows the same folder, which nobody else can guess or enter. Who lives is told by locks
that end with their process, however it ends.
"""

import hashlib
import multiprocessing
import os
import shutil
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep, time
from typing import Final, Self

__all__ = ["Workers", "lock", "unlock"]

_PAUSE: Final = 0.002
_TRIES: Final = 10
_FORGOTTEN_SECONDS: Final = 3600
"""After this long, a folder in which nobody lives belongs to a server that was killed."""


class Workers:
    """The folder that the workers of one server share, and the place this one has in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = -1
        """A small number that is this process's alone, and another's after it."""
        self._held: int | None = None

    @classmethod
    def of_this_process(cls, purpose: str) -> Self | None:
        """Return the workers that this process is one of; None where it is alone.

        Raises:
            OSError: The folder for temporary files cannot be used, or this is Windows.
        """
        parent = multiprocessing.parent_process()
        if parent is None:
            return None
        if find_spec("fcntl") is None:
            raise OSError("Windows has no Unix sockets and locks by which workers find each other")
        secret = bytes(multiprocessing.current_process().authkey)
        known = b"\0".join((secret, str(parent.pid).encode(), purpose.encode()))
        name = hashlib.sha256(known).hexdigest()[:16]
        return cls(_root() / name)

    def join(self, *, seconds: float) -> None:
        """Take the first place that is free.

        Raises:
            OSError: The folder cannot be used.
            TimeoutError: Another one has held the lock all the time.
        """
        for _ in range(_TRIES):
            _root()
            self.folder.mkdir(mode=0o700, exist_ok=True)
            # Whoever left last may be removing the folder: then there is a new one to make.
            with suppress(FileNotFoundError), self.alone(seconds=seconds):
                self._take_place()
                _remove_forgotten(self.folder.parent)
                return
        raise OSError(f"{self.folder} vanishes again and again")

    def leave(self) -> None:
        """Give the place to whoever comes next; the last one removes the folder.

        Call it in `alone`, and not at all where a lock cannot be had: the end of this
        process gives the place back, too.
        """
        if self._held is None:
            return
        for path in self.folder.glob(f"{self.place}.*"):
            path.unlink(missing_ok=True)
        os.close(self._held)
        self._held = None
        _joined.discard(self.folder)
        if not any(self.is_alive(place) for place in self.places()):
            shutil.rmtree(self.folder, ignore_errors=True)

    def keep(self) -> None:
        """Show who tidies up the folder for temporary files that this is in use.

        Raises:
            FileNotFoundError: Somebody has removed it.
        """
        if self._held is None or not _is_still_at(self.path("place"), self._held):
            raise FileNotFoundError(f"{self.path('place')} is gone")
        os.utime(self._held)

    @contextmanager
    def alone(self, *, seconds: float) -> Generator[None]:
        """Keep all others out. One thread of a process may use it: locks are of processes.

        Raises:
            FileNotFoundError: The folder is gone.
            TimeoutError: Another one has held it all the time.
        """
        deadline = monotonic() + seconds
        path = self.folder / "lock"
        while True:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                while not lock(file):
                    if monotonic() > deadline:
                        raise TimeoutError(f"{path} was locked for {seconds:g} s")
                    sleep(_PAUSE)
                if _is_still_at(path, file):
                    yield
                    return
            finally:
                os.close(file)

    def path(self, suffix: str, place: int | None = None) -> Path:
        """Return the path of a file of this process, or of who has another place."""
        return self.folder / f"{self.place if place is None else place}.{suffix}"

    def places(self) -> list[int]:
        """Return the places of all others, living or dead."""
        found = (int(path.stem) for path in self.folder.glob("*.place"))
        return sorted(place for place in found if place != self.place or self._held is None)

    def is_alive(self, place: int) -> bool:
        """Return whether the process that has another place still runs."""
        try:
            file = os.open(self.path("place", place), os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            return not lock(file)
        finally:
            os.close(file)

    def _take_place(self) -> None:
        if self._held is not None:  # of a folder that was removed
            os.close(self._held)
        place = 0
        while True:
            file = os.open(self.path("place", place), os.O_RDWR | os.O_CREAT, 0o600)
            if lock(file):
                self.place, self._held = place, file
                _joined.add(self.folder)
                return
            os.close(file)
            place += 1


def _root() -> Path:
    """Return a folder that is ours alone, in the one for temporary files."""
    user = os.getuid()
    root = Path(tempfile.gettempdir(), f"roadworthy-{user}")
    root.mkdir(mode=0o700, exist_ok=True)
    found = root.lstat()
    # Anybody may write there: what another user has put in our way is not believed.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user or found.st_mode & 0o077:
        raise PermissionError(f"{root} is not a folder that only this user may enter")
    return root


_joined: set[Path] = set()


def _remove_forgotten(root: Path) -> None:
    for folder in root.iterdir():
        with suppress(OSError):
            # Not one of this process: to close a file of it would end the lock.
            if folder in _joined or time() - folder.stat().st_mtime < _FORGOTTEN_SECONDS:
                continue
            others = Workers(folder)
            if not any(others.is_alive(place) for place in others.places()):
                shutil.rmtree(folder, ignore_errors=True)


def lock(file: int) -> bool:
    """Lock an open file, and return whether it was free."""
    import fcntl  # noqa: PLC0415 - Windows has none

    # Record locks: processes that are forked do not inherit them, and outlive none.
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def unlock(file: int) -> None:
    """Give the lock back."""
    import fcntl  # noqa: PLC0415 - Windows has none

    fcntl.lockf(file, fcntl.LOCK_UN)


def _is_still_at(path: Path, file: int) -> bool:
    try:
        return path.stat().st_ino == os.fstat(file).st_ino
    except FileNotFoundError:
        return False

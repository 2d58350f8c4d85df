"""Folders below a root, opened by the segments of keys, never through links."""

import errno
import os
import secrets
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISREG
from typing import Final

if sys.platform != "win32":  # on Windows, `Disk` says that it is not supported
    import fcntl

__all__ = ["UNFINISHED", "children", "forget", "make_root", "new_file", "old_file", "opened"]
__all__ += ["publish", "remove", "sweep"]

UNFINISHED: Final = ("~unfinished",)
"""The folder of files that are not committed. Keys have no `~`, so none leads here."""

_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0)
_ROOT: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_FOLDER: Final = _ROOT | _NO_LINK
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK
# Without O_NONBLOCK, opening a pipe would wait for its other end.
_OLD: Final = os.O_RDONLY | _NO_LINK | getattr(os, "O_NONBLOCK", 0)
_TRIES: Final = 20
_NO_FILE: Final = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO}
"""Errors of opening something that is no file, such as a link, a socket or a folder."""
_IN_USE: Final = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT}
"""Errors of `rmdir` for a folder that is in use, or gone."""


def make_root(path: Path) -> int:
    """Open the root directory, and make it durably if it is missing."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
        parent = os.open(folder.parent, _ROOT)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)
    return os.open(path, _ROOT)  # only the root may be a link


@contextmanager
def opened(root: int, names: Sequence[str], *, make: bool = False) -> Generator[list[int]]:
    """Open nested folders, and yield their descriptors, the root first.

    Raises:
        FileNotFoundError: A folder is missing, and none is to be made.
        NotADirectoryError: A segment is a file or a symbolic link.
    """
    chain = [root]
    try:
        for name in names:
            chain.append(_open(chain[-1], name, make=make))
        yield chain
    finally:
        for folder in chain[1:]:
            os.close(folder)


def new_file(root: int) -> tuple[int, str]:
    """Open a new unfinished file, locked so that no sweep deletes it."""
    with opened(root, UNFINISHED, make=True) as (*_, folder):
        while True:
            name = secrets.token_hex(16)
            file = os.open(name, _NEW, 0o600, dir_fd=folder)
            try:
                # Before the file was locked, a sweep may have deleted it.
                if _lock(file) and os.fstat(file).st_nlink:
                    return file, name
            except BaseException:
                forget(root, name)
                os.close(file)
                raise
            os.close(file)


def forget(root: int, name: str) -> None:
    """Remove the name of an unfinished file. A missing file is no error."""
    with suppress(FileNotFoundError), opened(root, UNFINISHED) as (*_, folder):
        os.unlink(name, dir_fd=folder)


def publish(root: int, name: str, segments: Sequence[str]) -> None:
    """Link an unfinished file to its key, durably.

    Raises:
        FileExistsError: There is a file under the key already.
    """
    for _ in range(_TRIES):
        # The folder may just have become empty, and been removed.
        with suppress(FileNotFoundError):
            _link(root, name, segments)
            return
    _link(root, name, segments)


def old_file(root: int, segments: Sequence[str]) -> int:
    """Open a file to read it.

    Raises:
        FileNotFoundError: There is no such file.
    """
    *folders, name = segments
    try:
        with opened(root, folders) as chain:
            file = os.open(name, _OLD, dir_fd=chain[-1])
    except OSError as error:
        if error.errno in _NO_FILE:
            raise FileNotFoundError(error.errno, os.strerror(error.errno)) from error
        raise
    if S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def remove(root: int, segments: Sequence[str]) -> None:
    """Delete a file, if it exists, and folders that become empty."""
    *folders, name = segments
    with suppress(FileNotFoundError, NotADirectoryError), opened(root, folders) as chain:
        if S_ISREG(os.stat(name, dir_fd=chain[-1], follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=chain[-1])
            _remove_empty(chain, folders)


def children(root: int, names: Sequence[str]) -> Generator[tuple[str, os.stat_result]]:
    """Yield the entries of a folder that still exist."""
    with suppress(FileNotFoundError, NotADirectoryError), _scanned(root, names) as (_, found):
        for entry in found:
            with suppress(FileNotFoundError):
                yield entry.name, entry.stat(follow_symlinks=False)


def sweep(root: int) -> int:
    """Delete unfinished files of killed processes, and return their number."""
    with suppress(FileNotFoundError), _scanned(root, UNFINISHED) as (folder, found):
        return sum(_swept(folder, entry.name) for entry in found)
    return 0


@contextmanager
def _scanned(root: int, names: Sequence[str]) -> Generator[tuple[int, Iterator[os.DirEntry[str]]]]:
    with opened(root, names) as chain, os.scandir(chain[-1]) as found:
        yield chain[-1], found


def _open(parent: int, name: str, *, make: bool) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=parent)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=parent)
    return os.open(name, _FOLDER, dir_fd=parent)


def _link(root: int, name: str, segments: Sequence[str]) -> None:
    *folders, target = segments
    with opened(root, UNFINISHED) as (*_, source), opened(root, folders, make=True) as chain:
        # Unlike a rename, a link replaces nothing.
        os.link(name, target, src_dir_fd=source, dst_dir_fd=chain[-1], follow_symlinks=False)
        try:
            # All folders: another process may have made one just now, and not synced it yet.
            for folder in reversed(chain):
                os.fsync(folder)
        except BaseException:
            os.unlink(target, dir_fd=chain[-1])
            raise


def _remove_empty(chain: Sequence[int], folders: Sequence[str]) -> None:
    for parent, folder in reversed(list(zip(chain, folders, strict=False))):
        try:
            os.rmdir(folder, dir_fd=parent)
        except OSError as error:
            if error.errno in _IN_USE:
                return
            raise


def _swept(folder: int, name: str) -> bool:
    try:
        file = os.open(name, _OLD, dir_fd=folder)
    except OSError:  # gone already, or no file of ours
        return False
    try:
        if not _lock(file):
            return False
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    finally:
        os.close(file)
    return True


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            return False
        raise
    return True

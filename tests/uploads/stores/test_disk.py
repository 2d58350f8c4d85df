"""`Disk` keeps the contract of stores, durably, and follows nothing out of its directory."""

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from roadworthy.testing.contract import StoreContract
from roadworthy.testing.contract.store_setting import (
    KEY,
    accept,
    assert_nothing,
    begin,
    content,
    keys,
    read,
    write,
)
from roadworthy.uploads import Disk, FileMissing
from roadworthy.uploads.stores import disk_files


class TestDisk(StoreContract):
    @pytest.fixture(autouse=True)
    def place(self, tmp_path):
        self.path = tmp_path / "files"

    def make_store(self):
        return Disk(self.path)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
async def disk(directory: Path) -> AsyncIterator[Disk]:
    async with Disk(directory) as disk:
        yield disk


# --- a power failure ------------------------------------------------------------------


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int | str]:
    """The inodes that are synced, and where a file is linked, in their order."""
    done = list[int | str]()
    sync, link, fsync = disk_files._sync, os.link, os.fsync

    def noting(call):
        def noted(file: int) -> None:
            done.append(os.fstat(file).st_ino)
            call(file)

        return noted

    def noted_link(*args, **options) -> None:
        done.append("link")
        link(*args, **options)

    monkeypatch.setattr(disk_files, "_sync", noting(sync))
    monkeypatch.setattr(os, "fsync", noting(fsync))
    monkeypatch.setattr(os, "link", noted_link)
    return done


async def test_a_file_is_synced_before_it_has_its_name_and_the_name_after(disk, directory, synced):
    await write(disk, content(1000), "a/b/c")

    inodes = [(directory / path).stat().st_ino for path in ("a/b/c", "a/b", "a", "")]
    assert synced == [inodes[0], "link", *inodes[1:]]


async def test_the_directory_is_made_durably(tmp_path, synced):
    async with Disk(tmp_path / "one" / "two"):
        pass

    assert synced == [tmp_path.stat().st_ino, (tmp_path / "one").stat().st_ino]


async def test_a_file_whose_name_cannot_be_synced_is_not_there(disk, monkeypatch):
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        await write(disk, b"something")

    await assert_nothing(disk)


# --- what is no file of ours ----------------------------------------------------------


async def test_no_link_is_followed(disk, directory, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (directory / "folder").symlink_to(outside)
    (directory / "file").symlink_to(outside / "secret")

    for key in ("folder/secret", "file"):
        with pytest.raises(FileMissing):
            await read(disk, key)
        await disk.delete(key)
    with pytest.raises(OSError, match="directory"):
        await write(disk, b"mine", "folder/mine")
    with pytest.raises(FileExistsError):
        await write(disk, b"mine", "file")

    assert await keys(disk) == []
    assert [path.name for path in outside.iterdir()] == ["secret"]


async def test_a_pipe_is_no_file_and_keeps_nobody_waiting(disk, directory):
    os.mkfifo(directory / "pipe")

    async with asyncio.timeout(5):
        with pytest.raises(FileMissing):
            await read(disk, "pipe")

    assert await keys(disk) == []


async def test_nobody_else_on_the_machine_may_read_it(disk, directory):
    await write(disk, b"something", "a/b/c")

    modes = {stat.S_IMODE((directory / path).stat().st_mode) for path in ("", "a", "a/b")}
    assert modes == {0o700}
    assert stat.S_IMODE((directory / "a/b/c").stat().st_mode) == 0o600


async def test_folders_go_with_their_last_file(disk, directory):
    await write(disk, b"one", "a/b/1")
    await write(disk, b"two", "a/2")

    await disk.delete("a/b/1")
    one_left = sorted(path.name for path in (directory / "a").iterdir())
    await disk.delete("a/2")

    assert one_left == ["2"]
    assert not (directory / "a").exists()


# --- a disk that has little room, or gives and takes little ---------------------------


async def test_what_would_leave_too_little_room_is_not_written(directory):
    async with Disk(directory, min_free=2**62) as disk:
        with pytest.raises(OSError, match="No space left") as full:
            await write(disk, b"something")

        assert full.value.errno == errno.ENOSPC
        await assert_nothing(disk)


async def test_a_disk_that_takes_little_at_a_time_gets_all(disk, monkeypatch):
    def write_little(file: int, pieces: list[memoryview]) -> int:
        return os.write(file, pieces[0][:7])

    monkeypatch.setattr(os, "writev", write_little)
    async with begin(disk) as writing:
        await writing.write([content(20), b"", content(5), content(7)], accept)
        await writing.commit()

    assert await read(disk) == content(20) + content(5) + content(7)


async def test_a_file_that_becomes_shorter_while_it_is_read_is_an_error(disk, directory):
    await write(disk, content(1000))

    async with disk.reading(KEY) as reading:
        os.truncate(directory / KEY, 500)
        with pytest.raises(OSError, match="shorter than it was"):
            [chunk async for chunk in reading.chunks()]


async def test_a_folder_that_goes_while_a_file_is_put_there_is_made_again(disk):
    for _ in range(50):
        await write(disk, b"old", "a/b/old")
        await asyncio.gather(
            disk.delete("a/b/old"), *(write(disk, b"new", f"a/b/{n}") for n in range(3))
        )
        await asyncio.gather(*(disk.delete(f"a/b/{n}") for n in range(3)))

    assert await keys(disk) == []


async def test_what_is_unfinished_at_the_end_is_removed(directory):
    disk, other = Disk(directory), Disk(directory)
    async with disk:
        writing = begin(disk)
        await (await writing.__aenter__()).write([b"something"], accept)

    assert [path for path in directory.rglob("*") if path.is_file()] == []
    async with other:
        assert await other.sweep_unfinished(older_than=timedelta()) == 0
    await writing.__aexit__(None, None, None)

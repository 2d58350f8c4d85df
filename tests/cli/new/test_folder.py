"""A folder is written whole, or not at all."""

import errno
import os
from pathlib import Path

import pytest

from roadworthy.cli.new.folder import write_folder
from roadworthy.cli.parsing import Mistake

TEXTS = {"a.txt": "a\n", "b/c/d.txt": "ü\n"}


def listed(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_files_and_their_folders_are_written(tmp_path):
    write_folder(tmp_path / "shop", TEXTS)

    assert listed(tmp_path) == ["shop", "shop/a.txt", "shop/b", "shop/b/c", "shop/b/c/d.txt"]
    assert (tmp_path / "shop/b/c/d.txt").read_bytes() == "ü\n".encode()


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "shop").mkdir()

    write_folder(tmp_path / "shop", TEXTS)

    assert (tmp_path / "shop/a.txt").exists()


def test_others_may_read_it_as_the_user_has_said(tmp_path):
    (tmp_path / "beside").mkdir()
    write_folder(tmp_path / "shop", TEXTS)

    assert (tmp_path / "shop").stat().st_mode == (tmp_path / "beside").stat().st_mode


def a_file(path):
    path.write_text("mine")


def a_full_folder(path):
    path.mkdir()
    (path / ".git").mkdir()


def a_link(path):
    path.symlink_to(path.parent / "elsewhere")


def a_link_to_a_folder(path):
    (path.parent / "elsewhere").mkdir()
    path.symlink_to(path.parent / "elsewhere")


@pytest.mark.parametrize("there", [a_file, a_full_folder, a_link, a_link_to_a_folder])
def test_what_is_there_already_stays(tmp_path, there):
    there(tmp_path / "shop")
    before = listed(tmp_path)

    with pytest.raises(Mistake, match="Type another name"):
        write_folder(tmp_path / "shop", TEXTS)

    assert listed(tmp_path) == before


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()]
)
@pytest.mark.parametrize("method", ["write_text", "rename"])
def test_a_failure_leaves_nothing(tmp_path, monkeypatch, error, method):
    real, calls = getattr(Path, method), []

    def fail(self, *args, **options):
        calls.append(self)
        if len(calls) == (2 if method == "write_text" else 1):
            raise error
        return real(self, *args, **options)

    monkeypatch.setattr(Path, method, fail)
    with pytest.raises((Mistake, KeyboardInterrupt)) as failed:
        write_folder(tmp_path / "shop", TEXTS)

    assert listed(tmp_path) == []
    assert not isinstance(error, OSError) or "No space left on device" in str(failed.value)


def test_what_somebody_puts_there_meanwhile_stays(tmp_path, monkeypatch):
    (tmp_path / "shop").mkdir()
    real = Path.write_text

    def meanwhile(self, *args, **options):
        (tmp_path / "shop/mine").touch()
        return real(self, *args, **options)

    monkeypatch.setattr(Path, "write_text", meanwhile)
    with pytest.raises(Mistake, match="cannot be written"):
        write_folder(tmp_path / "shop", TEXTS)

    assert listed(tmp_path) == ["shop", "shop/mine"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_nobody_may_write_to_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(Mistake, match="Permission denied"):
        write_folder(tmp_path / "shop", TEXTS)
    tmp_path.chmod(0o700)

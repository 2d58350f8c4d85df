"""The script of `make pythons` leaves nothing mounted, and says what it lacks."""

import os
import shutil
from pathlib import Path

import pytest

from pythons import chroot
from pythons.__main__ import found, main
from pythons.chroot import Chroot, Refused, mounts_under, refusal


def stand_in(folder: Path, name: str, script: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.fixture
def commands(tmp_path, monkeypatch) -> Path:
    """A folder of commands in front of the real ones; it tells what they were given."""
    folder = tmp_path / "commands"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TOLD", str(tmp_path / "told"))
    monkeypatch.setattr(chroot.os, "geteuid", lambda: 0)
    for name in ("mount", "umount", "chroot"):
        stand_in(folder, name, f'echo "{name} $*" >> "$TOLD"')
    stand_in(folder, "debootstrap", 'mkdir -p "$4/proc" "$4/etc/ssl/certs"; echo "I: done"')
    return folder


def told() -> list[str]:
    return Path(os.environ["TOLD"]).read_text().splitlines()


def test_without_root_it_says_why_and_what_to_type():
    said = refusal(root=False, debootstrap=True)

    assert said is not None
    assert "only root may" in said
    assert "sudo make pythons" in said


def test_without_debootstrap_it_says_what_to_install():
    assert "apt-get install debootstrap" in str(refusal(root=True, debootstrap=False))
    assert refusal(root=True, debootstrap=True) is None


def test_what_is_mounted_is_unmounted_last_first_and_the_folder_is_gone(commands):
    with Chroot.made(["python3.15"]) as made:
        folder = made.folder
        assert folder.is_dir()

    places = [line.split()[-1] for line in told() if line.startswith("mount ")]
    assert len(places) == 4
    unmounted = [line.split()[-1] for line in told() if line.startswith("umount ")]
    assert unmounted == places[::-1]
    assert not folder.exists()


@pytest.mark.parametrize("ends", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_whatever_ends_the_tests_it_cleans_up(commands, ends):
    with pytest.raises(ends), Chroot.made(["python3.15"]) as made:
        raise ends

    assert len([line for line in told() if line.startswith("umount ")]) == 4
    assert not made.folder.exists()


def test_a_mount_that_fails_half_way_is_undone(commands):
    stand_in(commands, "mount", 'echo "mount $*" >> "$TOLD"; case "$*" in *pts*) exit 32;; esac')

    with pytest.raises(Refused, match="cannot be mounted"), Chroot.made(["python3.15"]):
        pass  # pragma: no cover

    assert len([line for line in told() if line.startswith("umount ")]) == 2


def test_a_folder_in_which_something_is_mounted_is_not_removed(commands, monkeypatch):
    monkeypatch.setattr(chroot, "mounts_under", lambda folder: iter([f"{folder}/dev"]))

    with pytest.raises(Refused, match=r"is still mounted\. Type: umount "), Chroot.made([]) as made:
        pass

    assert made.folder.is_dir()
    shutil.rmtree(made.folder)


def test_what_debootstrap_says_is_told(commands):
    stand_in(commands, "debootstrap", 'echo "E: Failed getting release file"; exit 1')

    with pytest.raises(Refused, match="Failed getting release file"), Chroot.made([]):
        pass  # pragma: no cover


def test_the_kernel_says_what_is_mounted_where(tmp_path):
    assert list(mounts_under(tmp_path)) == []
    assert list(mounts_under(Path("/proc"))) != []


def test_the_newest_python_of_a_version_is_taken(tmp_path):
    for name in ("3.12.9", "3.12.10", "3.13.0"):
        (tmp_path / name).mkdir()

    assert found("3.12", [tmp_path]) == str(tmp_path / "3.12.10/bin/python")
    with pytest.raises(Refused, match=r"There is no Python 3\.19\. Type: pyenv install 3\.19"):
        found("3.19", [tmp_path])


def test_somebody_who_is_not_root_gets_one_clear_sentence(monkeypatch, capsys):
    monkeypatch.setattr(chroot.os, "geteuid", lambda: 1000)

    assert main(["--only", "3.14,3.15", "tests/patching"]) == 1
    assert "3.14 and 3.15: Pythons from Debian's next release" in capsys.readouterr().out


def test_a_python_that_nobody_asked_for_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["--only", "3.10"])

    assert "3.10 is none of 3.11, 3.12" in capsys.readouterr().err

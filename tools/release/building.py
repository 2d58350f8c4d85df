"""Build what would be published, from the tracked files, as of the last commit."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

__all__ = ["Built", "build", "differences", "tracked"]

_LONG_AGO = "1577836800"  # 2020-01-01, where no commit tells a time


@dataclass(frozen=True, slots=True)
class Built:
    """One wheel and one sdist."""

    wheel: Path
    sdist: Path

    @classmethod
    def within(cls, folder: Path) -> Self:
        """Return the one wheel and the one sdist of a folder."""
        [wheel], [sdist] = folder.glob("*.whl"), folder.glob("*.tar.gz")
        return cls(wheel, sdist)


def build(repository: Path, to: Path) -> Built:
    """Build in a copy of the tracked files, so that nothing that lies around gets in."""
    source = to / "source"
    for name in tracked(repository):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(repository / name, source / name)
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(to)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": _time_of(repository)}
    subprocess.run(command, cwd=source, env=environment, capture_output=True, check=True)
    shutil.rmtree(source)
    return Built.within(to)


def differences(first: Built, second: Built) -> list[str]:
    """Name what two builds of the same source made differently."""
    pairs = ((first.wheel, second.wheel), (first.sdist, second.sdist))
    return [
        f"two builds of {one.name} differ: something in it depends on when or where it was built"
        for one, other in pairs
        if one.read_bytes() != other.read_bytes()
    ]


def tracked(repository: Path) -> list[str]:
    """Name the files that a clone of the repository would have, as they are here."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\0") if (repository / name).is_file()]


def _time_of(repository: Path) -> str:
    command = ["git", "log", "-1", "--format=%ct"]
    told = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    return told.stdout.strip() or _LONG_AGO

"""`Corpus`: the files of a folder, a checkout, or a bare repository, one after another."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Corpus", "opened"]


@dataclass(frozen=True, slots=True)
class Corpus:
    """A collection of files, and where it stands."""

    folder: Path
    commit: str
    is_bare: bool

    @property
    def name(self) -> str:
        return self.folder.name.removesuffix(".git")

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield paths and contents."""
        return _of_repository(self.folder) if self.is_bare else _of_folder(self.folder)


@contextmanager
def opened(folder: Path) -> Iterator[Corpus]:
    """Look at what a folder is: it is only read."""
    is_bare = (folder / "HEAD").is_file() and (folder / "objects").is_dir()
    has_commit = is_bare or (folder / ".git").exists()
    commit = _git(folder, "rev-parse", "--short=10", "HEAD").decode().strip() if has_commit else "-"
    yield Corpus(folder, commit, is_bare)


def _git(folder: Path, *words: str) -> bytes:
    return subprocess.run(
        ["git", "-C", str(folder), *words], check=True, stdout=subprocess.PIPE
    ).stdout


def _of_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and ".git" not in path.parts:
            yield str(path.relative_to(folder)), path.read_bytes()


def _of_repository(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Read blobs through one `git cat-file --batch`; what a partial copy lacks is left out."""
    listed = _git(folder, "ls-tree", "-r", "-z", "HEAD").split(b"\0")
    with subprocess.Popen(
        ["git", "-C", str(folder), "cat-file", "--batch"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as git:
        assert git.stdin is not None
        assert git.stdout is not None
        for line in filter(None, listed):
            told, _, path = line.partition(b"\t")
            mode, kind, name = told.split(b" ")
            if kind != b"blob" or mode == b"120000":
                continue
            git.stdin.write(name + b"\n")
            git.stdin.flush()
            answer = git.stdout.readline().split()
            if answer[-1] == b"missing":
                continue
            data = git.stdout.read(int(answer[2]))
            git.stdout.read(1)
            yield path.decode(errors="replace"), data
        git.stdin.close()

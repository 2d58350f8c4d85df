"""Which lines have changed since a revision, as Git says."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from roadworthy.audit.model.finding import Finding
from roadworthy.audit.model.refusal import CannotRun
from roadworthy.audit.run.definitions import definitions_in

__all__ = ["Changes", "changes_since"]

_HUNK: Final = re.compile(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@")
_DIFF: Final = (
    *("diff", "--unified=0", "--no-color", "--no-ext-diff", "--find-renames"),
    *("--dst-prefix=b/", "--src-prefix=a/", "--no-relative"),
)


@dataclass(slots=True)
class Changes:
    """The lines that were added or changed; a file that is new has changed as a whole.

    A function that stands elsewhere, as it was, has not changed.
    """

    lines: dict[Path, list[range]] = field(default_factory=dict[Path, list[range]])
    new: set[Path] = field(default_factory=set[Path])
    moved: dict[Path, list[range]] = field(default_factory=dict[Path, list[range]])
    """The lines of functions that were there before, and not more often."""

    def touch(self, finding: Finding, *, root: Path) -> bool:
        """Return whether a finding, or a step on its way, is in a changed line."""
        if self._has(root / finding.path, finding.line, finding.end_line):
            return True
        return any(self._has(root / step.path, step.line, step.line) for step in finding.flow)

    def _has(self, path: Path, first: int, last: int) -> bool:
        if any(first in one and last in one for one in self.moved.get(path, ())):
            return False
        if path in self.new:
            return True
        return any(one.start <= last and first < one.stop for one in self.lines.get(path, ()))


def changes_since(revision: str, *, at: Path) -> Changes:
    """Return what has changed since a revision, committed or not.

    Files that Git does not know have changed as a whole. On a branch that has gone another way,
    it is since both ways parted.

    Raises:
        CannotRun: There is no Git, no repository, or no such revision.
    """
    top = Path(_git(at, "rev-parse", "--show-toplevel").strip())
    changes = Changes()
    start = _parted(top, revision)
    text = _git(top, *_DIFF, start, "--")
    for path, lines in _changed(text):
        changes.lines.setdefault(top / path, []).append(lines)
    untracked = _git(top, "ls-files", "--others", "--exclude-standard", "-z")
    changes.new |= {top / name for name in untracked.split("\0") if name}
    changes.moved = _moved(_before(top, start), [*changes.lines, *changes.new])
    return changes


def _before(top: Path, revision: str) -> Counter[tuple[str, str]]:
    """Return the functions of the changed files as they were, by name and text."""
    listed = _git(top, "diff", "--no-renames", "--name-only", "--diff-filter=MD", "-z", revision)
    names = [name for name in listed.split("\0") if name.endswith(".py")]
    found: Counter[tuple[str, str]] = Counter()
    for name in names:
        for one in definitions_in(_git(top, "show", f"{revision}:{name}").encode()):
            found[one.name, one.text] += 1
    return found


def _moved(before: Counter[tuple[str, str]], files: Sequence[Path]) -> dict[Path, list[range]]:
    """Return the lines of functions that the files had before, in whichever of them."""
    now = {path: definitions_in(_bytes(path)) for path in files if path.suffix == ".py"}
    counts = Counter((one.name, one.text) for found in now.values() for one in found)
    return {
        path: [
            range(one.first, one.last + 1)
            for one in found
            if counts[one.name, one.text] <= before[one.name, one.text]
        ]
        for path, found in now.items()
    }


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.is_file() else b""
    except OSError:
        return b""


def _parted(top: Path, revision: str) -> str:
    known = _run(top, "rev-parse", "--verify", "-q", "--end-of-options", f"{revision}^{{commit}}")
    if known.returncode:
        raise CannotRun(
            f"Git knows no revision {revision!r}. Type one that it has: "
            "roadworthy audit --diff HEAD"
        )
    commit = known.stdout.strip()
    common = _run(top, "merge-base", commit, "HEAD")
    return common.stdout.strip() or commit  # a shallow clone does not know it


def _changed(text: str) -> Iterator[tuple[str, range]]:
    path = ""
    for line in text.splitlines():
        if line.startswith("+++ "):
            path = line[4:].removeprefix("b/").rstrip("\t")
        elif path and (hunk := _HUNK.match(line)):
            first, count = int(hunk[1]), int(hunk[2] or 1)
            if count:
                yield path, range(first, first + count)


def _git(at: Path, *words: str) -> str:
    done = _run(at, *words)
    if done.returncode:
        reason = done.stderr.strip().partition("\n")[0] or "it failed"
        raise CannotRun(f"--diff needs a Git repository: {reason}")
    return done.stdout


def _run(at: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command: Sequence[str] = ("git", "-c", "core.quotePath=false", "-C", str(at), *words)
    try:
        return subprocess.run(  # noqa: S603  # nothing of it is for a shell
            command, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
    except FileNotFoundError:
        raise CannotRun("--diff needs git, which is not installed.") from None

"""Mend what was found in a copy, audit that, and keep what was mended."""

import ast
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from roadworthy.audit import fixes
from roadworthy.audit.discovery import project_root, source_files
from roadworthy.audit.engine import audit
from roadworthy.audit.finding import Finding
from roadworthy.audit.inspection import Inspection, Wish

__all__ = ["Mending", "mended"]

Key = tuple[str, str]
"""A rule, and the path of a file from the root of the project."""


@dataclass(slots=True)
class Mending:
    """The new text of files, what is mended by it, and what was tried in vain."""

    root: Path
    before: dict[str, bytes] = field(default_factory=dict[str, bytes])
    after: dict[str, bytes] = field(default_factory=dict[str, bytes])
    done: list[Finding] = field(default_factory=list[Finding])
    refused: list[Finding] = field(default_factory=list[Finding])

    def write(self) -> None:
        """Write the new text of the files that have one."""
        for path, text in self.after.items():
            (self.root / path).write_bytes(text)


@dataclass(slots=True)
class _Attempt:
    """Sources with some findings mended, and which file each of them has changed."""

    sources: dict[str, bytes]
    touched: dict[str, set[Key]] = field(default_factory=dict[str, set[Key]])
    done: list[Finding] = field(default_factory=list[Finding])


def mended(wish: Wish, inspection: Inspection, *, unsafe: bool) -> Mending:
    """Return what becomes of the findings that can be mended; nothing is written.

    A fix is refused whose finding is still there afterwards, that brings another, or whose
    file can no longer be parsed.
    """
    home = project_root([path.resolve() for path in wish.paths])
    wanted = [_at_home(one, inspection.root, home) for one in _fixable(inspection, unsafe=unsafe)]
    sources = _sources(home)
    mending = Mending(root=home, before=sources)
    if not wanted:
        return mending
    counts = Counter(_key(_at_home(f, inspection.root, home)) for f in inspection.result.findings)
    again = partial(_found, wish=wish, inspection=inspection, home=home)
    attempt = _best(sources, wanted, counts, again)
    mending.after = {p: text for p, text in attempt.sources.items() if text != sources[p]}
    mending.done = attempt.done
    mending.refused = [one for one in wanted if one not in attempt.done]
    return mending


def _fixable(inspection: Inspection, *, unsafe: bool) -> Iterator[Finding]:
    for finding in inspection.findings:
        if fixes.fixable(finding) and (unsafe or fixes.KNOWN[finding.name].safe):
            yield finding


def _best(
    sources: Mapping[str, bytes],
    wanted: Sequence[Finding],
    counts: Counter[Key],
    again: Callable[[Mapping[str, bytes]], Counter[Key]],
) -> _Attempt:
    """Try all of them; what did not help is left out, and the others are tried again."""
    refused: set[Key] = set()
    while True:
        attempt = _attempt(sources, [one for one in wanted if _key(one) not in refused])
        if not attempt.done:
            return attempt
        bad = _in_vain(attempt, counts, again(attempt.sources))
        if not bad:
            return attempt
        refused |= bad


def _attempt(sources: Mapping[str, bytes], wanted: Sequence[Finding]) -> _Attempt:
    attempt = _Attempt(dict(sources))
    # From the end, so that what is added moves nothing that is still to be found.
    changes: dict[str, list[Any]] = {}
    for finding in sorted(wanted, key=lambda one: (one.path, -one.line, -one.column)):
        changed = _changed(attempt.sources, finding) or {}
        if changed and all(_parses(change.finished()) for change in changed.values()):
            attempt.done.append(finding)
            for path, change in changed.items():
                attempt.sources[path] = change.text
                changes.setdefault(path, []).append(change)
                attempt.touched.setdefault(path, set()).add(_key(finding))
    for path, those in changes.items():
        attempt.sources[path] = _finished(attempt.sources[path], those)
    return attempt


def _finished(text: bytes, changes: Sequence[Any]) -> bytes:
    """Return a text with the imports that all its changes need."""
    for change in changes:
        text = replace(change, text=text).finished()
    return text


def _changed(sources: dict[str, bytes], finding: Finding) -> dict[str, Any] | None:
    tree: Any = import_module("roadworthy.audit.fixes.tree")
    module: Any = import_module(f"roadworthy.audit.fixes.{fixes.KNOWN[finding.name].module}")
    try:
        if hasattr(module, "mend_all"):
            changed: dict[str, Any] | None = module.mend_all(sources, finding)
            return changed
        change: Any = module.mend(sources[finding.path], finding)
    except tree.Unreadable:
        return None
    return None if change is None else {finding.path: change}


def _parses(text: bytes) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True


def _in_vain(attempt: _Attempt, before: Counter[Key], after: Counter[Key]) -> set[Key]:
    """Return the rules and files whose fixes have not helped, or have made something worse."""
    expected = before - Counter(_key(one) for one in attempt.done)
    bad: set[Key] = set()
    for key, count in after.items():
        if count > expected[key]:
            mended_here = {_key(one) for one in attempt.done} & {key}
            bad |= mended_here or attempt.touched.get(key[1], set())
    return bad


def _found(
    sources: Mapping[str, bytes], *, wish: Wish, inspection: Inspection, home: Path
) -> Counter[Key]:
    with _copy(sources, home) as copy:
        paths = [copy / path.resolve().relative_to(home) for path in wish.paths]
        result = audit(paths, root=copy, rules=inspection.rules, exclude=wish.exclude)
    return Counter(_key(one) for one in result.findings)


@contextmanager
def _copy(sources: Mapping[str, bytes], home: Path) -> Generator[Path]:
    """Write sources, and the files about versions, into a folder that is gone afterwards."""
    with TemporaryDirectory() as name:
        copy = Path(name).resolve()
        (copy / ".git").mkdir()  # what says where the project begins
        for path in source_files(home):
            file = copy / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(sources[path] if path in sources else (home / path).read_bytes())
        yield copy


def _sources(home: Path) -> dict[str, bytes]:
    python = (path for path in source_files(home) if path.endswith(".py"))
    return {path: (home / path).read_bytes() for path in python}


def _at_home(finding: Finding, root: Path, home: Path) -> Finding:
    path = (root / finding.path).resolve()
    return replace(finding, path=path.relative_to(home).as_posix())


def _key(finding: Finding) -> Key:
    return (finding.rule, finding.path)

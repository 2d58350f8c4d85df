"""Fix what was found in a copy, audit that, and keep what was fixed."""

import ast
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from roadworthy.audit import fixes
from roadworthy.audit.model.finding import Finding
from roadworthy.audit.model.rule import Rule
from roadworthy.audit.run.engine import audit
from roadworthy.audit.run.inspection import Inspection, Options
from roadworthy.audit.source.discovery import project_root, source_files

__all__ = ["Fixing", "fixed"]

Key = tuple[str, str]
"""A rule, and the path of a file from the root of the project."""


@dataclass(slots=True)
class Fixing:
    """The new text of files, what is fixed by it, and what was tried in vain."""

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
    """Sources with some findings fixed, and which file each of them has changed."""

    sources: dict[str, bytes]
    touched: dict[str, set[Key]] = field(default_factory=dict[str, set[Key]])
    done: dict[tuple[str, int, int], Finding] = field(
        default_factory=dict[tuple[str, int, int], Finding]
    )
    functions: set[tuple[Key, str]] = field(default_factory=set[tuple[Key, str]])
    """Where something was done: one change may fix several findings of a function."""
    needs: "dict[str, _Needs]" = field(default_factory=dict[str, "_Needs"])


@dataclass(slots=True)
class _Needs:
    """The imports that a file needs, and those that it may need no more."""

    imports: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


def fixed(wish: Options, inspection: Inspection, *, unsafe: bool) -> Fixing:
    """Return what becomes of the findings that can be fixed; nothing is written.

    A fix is refused whose finding is still there afterwards, that brings another, or whose
    file can no longer be parsed.
    """
    home = project_root([path.resolve() for path in wish.paths])
    wanted = [_at_home(one, inspection.root, home) for one in _fixable(inspection, unsafe=unsafe)]
    sources = _sources(home)
    fixing = Fixing(root=home, before=sources)
    if not wanted:
        return fixing
    before = [_at_home(one, inspection.root, home) for one in inspection.result.findings]
    judge = _Judge(home=home, rules=_judging(inspection.rules), before=before)
    attempt = _best(sources, wanted, judge)
    fixing.after = {p: text for p, text in attempt.sources.items() if text != sources[p]}
    fixing.done = list(attempt.done.values())
    left = Counter(one.fingerprint for one in fixing.done)
    fixing.refused = [one for one in wanted if not _counted(left, one)]
    return fixing


def _counted(left: Counter[str], finding: Finding) -> bool:
    """Return whether a finding is among those that are counted, and take one away."""
    found = left[finding.fingerprint] > 0
    left[finding.fingerprint] -= found
    return found


def _fixable(inspection: Inspection, *, unsafe: bool) -> Iterator[Finding]:
    for finding in inspection.findings:
        if fixes.fixable(finding) and (unsafe or fixes.KNOWN[finding.name].safe):
            yield finding


@dataclass(frozen=True, slots=True)
class _Judge:
    """Say of new sources whether they are better: only files that differ are audited."""

    home: Path
    rules: Sequence[Rule]
    before: Sequence[Finding]

    def in_vain(self, attempt: _Attempt) -> set[Key]:
        """Return the rules and files whose fixes have not helped, or have made others."""
        changed = attempt.touched.keys()
        asked = {rule.code for rule in self.rules}
        counts = Counter(
            _key(one) for one in self.before if one.path in changed and one.rule in asked
        )
        return _in_vain(attempt, counts, self._found(attempt.sources, sorted(changed)))

    def _found(self, sources: Mapping[str, bytes], changed: Sequence[str]) -> Counter[Key]:
        with _copy(sources, changed, self.home) as copy:
            paths = [copy / path for path in changed]
            result = audit(paths, root=copy, rules=self.rules)
        return Counter(_key(one) for one in result.findings)


def _judging(rules: Sequence[Rule]) -> list[Rule]:
    """Leave out the rules about services, which files alone do not answer."""
    return [rule for rule in rules if rule.looks != "service"]


def _best(sources: Mapping[str, bytes], wanted: Sequence[Finding], judge: _Judge) -> _Attempt:
    """Try all of them; what did not help is left out, and the others are tried again."""
    refused: set[Key] = set()
    while True:
        attempt = _attempt(sources, [one for one in wanted if _key(one) not in refused])
        if not attempt.done:
            return attempt
        bad = judge.in_vain(attempt)
        if not bad:
            return attempt
        refused |= bad


def _attempt(sources: Mapping[str, bytes], wanted: Sequence[Finding]) -> _Attempt:
    """Apply all fixes that can be applied; those within others in a pass of their own."""
    attempt = _Attempt(dict(sources))
    # From the end, so that what is added moves nothing that is still to be found.
    left = sorted(wanted, key=lambda one: (one.path, -one.line, -one.column))
    while left:
        one_pass = _Pass(attempt)
        waiting = [one for one in left if not one_pass.take(one)]
        one_pass.apply()
        left = [one_pass.moved(one) for one in waiting] if one_pass.chosen else []
    for path, needs in attempt.needs.items():
        tree: Any = import_module("roadworthy.audit.fixes.tree")
        attempt.sources[path] = tree.finished(attempt.sources[path], needs.imports, needs.unused)
    return attempt


@dataclass(slots=True)
class _Pass:
    """Changes of the same sources that do not touch each other."""

    attempt: _Attempt
    chosen: dict[str, dict[Any, Any]] = field(default_factory=dict[str, dict[Any, Any]])
    above: set[int] = field(default_factory=set[int])
    added: dict[str, list[tuple[int, int]]] = field(
        default_factory=dict[str, list[tuple[int, int]]]
    )
    """Where lines are added in a file, and how many."""
    trees: dict[str, Any] = field(default_factory=dict[str, Any])

    def take(self, finding: Finding) -> bool:
        """Note the change for a finding; return whether it has to wait for another pass."""
        changed = _changed(self.attempt.sources, finding)
        key = (_key(finding), finding.where)
        if changed is None or (not changed and key not in self.attempt.functions):
            return True
        if any(map(self._touches, changed.values())):
            return False
        self.attempt.functions.add(key)
        self.attempt.done[finding.fingerprint, finding.line, finding.column] = finding
        for path, change in changed.items():
            self._choose(path, change, finding)
        return True

    def _touches(self, change: Any) -> bool:
        taken = {id(node) for nodes in self.chosen.values() for node in nodes}
        return any(
            id(node) in self.above
            or id(node) in taken
            or any(id(one) in taken for one in change.tree.all_above(node))
            for node in change.nodes
        )

    def _choose(self, path: str, change: Any, finding: Finding) -> None:
        self.trees[path] = change.tree
        self.chosen.setdefault(path, {}).update(change.nodes)
        for old, new in change.nodes.items():
            self.above |= {id(one) for one in change.tree.all_above(old)}
            place = (change.tree.line(old), change.tree.lines_added(old, new))
            self.added.setdefault(path, []).append(place)
        needs = self.attempt.needs.setdefault(path, _Needs())
        needs.imports += change.imports
        needs.unused += change.unused
        self.attempt.touched.setdefault(path, set()).add(_key(finding))

    def apply(self) -> None:
        """Change the sources; a file that would not parse any more is left as it is."""
        for path, nodes in self.chosen.items():
            text = self.trees[path].replaced_all(nodes)
            if _parses(text):
                self.attempt.sources[path] = text

    def moved(self, finding: Finding) -> Finding:
        """Return a finding where it is after this pass."""
        places = self.added.get(finding.path, ())
        by = sum(count for line, count in places if line < finding.line)
        return replace(finding, line=finding.line + by, end_line=finding.end_line + by)


def _changed(sources: dict[str, bytes], finding: Finding) -> dict[str, Any] | None:
    tree: Any = import_module("roadworthy.audit.fixes.tree")
    module: Any = import_module(f"roadworthy.audit.fixes.{fixes.KNOWN[finding.name].module}")
    try:
        if hasattr(module, "fix_all"):
            changed: dict[str, Any] | None = module.fix_all(sources, finding)
            return changed
        change: Any = module.fix(sources[finding.path], finding)
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
    expected = before - Counter(_key(one) for one in attempt.done.values())
    bad: set[Key] = set()
    for key, count in after.items():
        if count > expected[key]:
            fixed_here = {_key(one) for one in attempt.done.values()} & {key}
            bad |= fixed_here or attempt.touched.get(key[1], set())
    return bad


@contextmanager
def _copy(sources: Mapping[str, bytes], changed: Sequence[str], home: Path) -> Generator[Path]:
    """Write what has changed into a folder that is gone afterwards, and link all else."""
    with TemporaryDirectory() as name:
        copy = Path(name).resolve()
        (copy / ".git").mkdir()  # what says where the project begins
        for path in source_files(home):
            file = copy / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if path in changed:
                file.write_bytes(sources[path])
            else:
                file.symlink_to(home / path)
        yield copy


def _sources(home: Path) -> dict[str, bytes]:
    python = (path for path in source_files(home) if path.endswith(".py"))
    return {path: (home / path).read_bytes() for path in python}


def _at_home(finding: Finding, root: Path, home: Path) -> Finding:
    path = (root / finding.path).resolve()
    return replace(finding, path=path.relative_to(home).as_posix())


def _key(finding: Finding) -> Key:
    return (finding.rule, finding.path)

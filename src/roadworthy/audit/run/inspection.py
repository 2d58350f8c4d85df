"""An audit as it was asked for: what the engine finds, and what is shown of it."""

import tokenize
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

from roadworthy.audit.model.finding import Confidence, Finding, Severity
from roadworthy.audit.model.refusal import CannotRun
from roadworthy.audit.model.result import OnProgress, Result
from roadworthy.audit.model.rule import Rule
from roadworthy.audit.run.baseline import baseline_of, new_since
from roadworthy.audit.run.changes import changes_since
from roadworthy.audit.run.configuration import Configuration
from roadworthy.audit.run.fixable import fixable
from roadworthy.audit.run.ignore_comments import Ignore, ignores_in
from roadworthy.audit.run.own_rules import all_rules
from roadworthy.audit.run.remaining_findings import without_ignored
from roadworthy.audit.run.selection import matching, selected

__all__ = ["Inspection", "Options", "inspect", "options_of"]

Engine: TypeAlias = Callable[..., Result]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is to be audited, and what is to be shown of it."""

    paths: Sequence[Path]
    root: Path
    """What the paths in the answer are relative to."""
    select: Sequence[str] = ()
    ignore: Sequence[str] = ()
    severity: Severity = Severity.LOW
    confidence: Confidence = Confidence.MEDIUM
    exclude: Sequence[str] = ()
    per_file_ignores: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    folder: Path | None = None
    """Where the patterns of `per_file_ignores` start; else where the paths do."""
    baseline: Path | None = None
    since: str | None = None
    """A revision of Git: only what stands in lines changed since then."""
    app: str | None = None
    """`module:app`: import it, and join what it has; else nothing is imported."""
    cache: Path | None = None
    """A folder for results, which are used again where no file has changed."""
    unsaved: Mapping[Path, bytes] = field(default_factory=dict[Path, bytes])
    """What an editor holds in place of files, by their resolved paths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What is shown, and how much is not."""

    findings: Sequence[Finding]
    result: Result
    rules: Sequence[Rule]
    """Those that were asked."""
    root: Path
    hidden: Mapping[str, int]
    """How many findings are not shown, by what hides them."""
    upcoming: Sequence[Finding] = ()
    """What becomes true where a library is upgraded."""
    unsaved: Mapping[Path, bytes] = field(default_factory=dict[Path, bytes])
    """What an editor holds in place of files, by their resolved paths."""


def options_of(said: Configuration, *, paths: Sequence[Path], root: Path) -> Options:
    """Return what a project wants."""
    return Options(
        paths=paths,
        root=root,
        select=said.select,
        ignore=said.ignore,
        severity=said.severity,
        confidence=said.confidence,
        exclude=said.exclude,
        per_file_ignores=said.per_file_ignores,
        folder=said.folder,
        baseline=said.baseline,
    )


def inspect(
    wish: Options,
    *,
    progress: OnProgress | None = None,
    also: Sequence[Rule] = (),
    engine: Engine | None = None,
) -> Inspection:
    """Audit what is wished for. `also` is asked too, and shows in `result` only.

    Raises:
        CannotRun: A rule, a baseline or a revision is not there.
    """
    known = all_rules()
    rules = selected(known, select=wish.select, ignore=wish.ignore)
    root = wish.root.resolve()
    result = (engine or _engine())(
        wish.paths,
        root=root,
        rules=[*rules, *also],
        exclude=wish.exclude,
        cache=wish.cache,
        progress=progress,
        unsaved=wish.unsaved,
    )
    if wish.app is not None:
        result = _joined(result, wish.app, root)
    codes = {rule.code for rule in rules}
    found = [replace(f, fixable=fixable(f)) for f in result.findings if f.rule in codes]
    left = without_ignored(
        found, _comments(root, result.paths, wish.unsaved), known=known, asked=rules
    )
    sieve = _Sieve(sorted(left.findings, key=_place), Counter(ignored=left.ignored))
    _show(sieve, wish, known, root)
    return Inspection(
        findings=[one for one in sieve.findings if not one.since],
        result=result,
        rules=rules,
        root=root,
        hidden=+sieve.hidden,
        upcoming=[one for one in sieve.findings if one.since],
        unsaved=wish.unsaved,
    )


@dataclass(slots=True)
class _Sieve:
    """What is left of findings, and why the others are not."""

    findings: Sequence[Finding]
    hidden: Counter[str]

    def keep(self, why: str, kept: Iterable[Finding]) -> None:
        before = len(self.findings)
        self.findings = list(kept)
        self.hidden[why] += before - len(self.findings)


def _show(sieve: _Sieve, wish: Options, known: Sequence[Rule], root: Path) -> None:
    """Take out what is not to be shown, in an order that counts each under one reason."""
    sieve.keep("per-file-ignores", _not_ignored(sieve.findings, wish, known, root))
    sieve.keep("severity", (f for f in sieve.findings if f.severity.rank >= wish.severity.rank))
    if wish.since is not None:
        changes = changes_since(wish.since, at=_folder(wish.paths[0]))
        sieve.keep("unchanged", (f for f in sieve.findings if changes.touch(f, root=root)))
    if wish.baseline is not None:
        before = baseline_of(wish.baseline)
        new = new_since(before, sieve.findings, file=wish.baseline, root=root)
        sieve.keep("baseline", new)
    least = wish.confidence.rank
    sieve.keep("confidence", (f for f in sieve.findings if f.confidence.rank >= least))


def _engine() -> Engine:
    from roadworthy.audit.run.engine import audit  # noqa: PLC0415  # who explains needs none

    return audit


def _joined(result: Result, app: str, root: Path) -> Result:
    from roadworthy.audit import live  # noqa: PLC0415  # few ask for it

    try:
        return live.join(result, live.look(app, folder=root), root=root)
    except live.CannotImport as error:
        raise CannotRun(f"{error} Without --app, nothing is imported.") from error


def _place(finding: Finding) -> tuple[str, int, int, str]:
    return (finding.path, finding.line, finding.column, finding.rule)


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _comments(
    root: Path, paths: Iterable[str], unsaved: Mapping[Path, bytes]
) -> Mapping[str, Sequence[Ignore]]:
    found = ((path, ignores_in(_text(root / path, unsaved))) for path in paths)
    return {path: comments for path, comments in found if comments}


def _text(file: Path, unsaved: Mapping[Path, bytes]) -> str:
    """Return a file's text, or nothing: the engine says what cannot be read."""
    try:
        held = unsaved.get(file)
        content = file.read_bytes() if held is None else held
        if b"roadworthy:" not in content.lower():
            return ""
        return content.decode(tokenize.detect_encoding(BytesIO(content).readline)[0])
    except (OSError, SyntaxError, UnicodeDecodeError):
        return ""


def _not_ignored(
    findings: Sequence[Finding], wish: Options, known: Sequence[Rule], root: Path
) -> Sequence[Finding]:
    ignored = {
        pattern: {rule.code for word in words for rule in matching(known, word)}
        for pattern, words in wish.per_file_ignores.items()
    }
    start = (wish.folder or wish.root).resolve()
    return [
        one
        for one in findings
        if not any(
            one.rule in codes and _fits(root / one.path, pattern, start)
            for pattern, codes in ignored.items()
        )
    ]


def _fits(path: Path, pattern: str, start: Path) -> bool:
    shown = path.relative_to(start) if path.is_relative_to(start) else path
    return fnmatch(shown.as_posix(), pattern) or shown.match(pattern)

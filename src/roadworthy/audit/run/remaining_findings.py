"""`without_ignored`: drop the findings that comments ignore, and report useless comments."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from roadworthy.audit.model.finding import Finding
from roadworthy.audit.model.refusal import CannotRun
from roadworthy.audit.model.rule import Rule
from roadworthy.audit.run.ignore_comments import Ignore
from roadworthy.audit.run.own_rules import MALFORMED_IGNORE, UNUSED_IGNORE, finding_about
from roadworthy.audit.run.selection import matching

__all__ = ["RemainingFindings", "without_ignored"]


@dataclass(frozen=True, slots=True)
class RemainingFindings:
    """The findings that remain, with those about comments, and how many were ignored."""

    findings: Sequence[Finding]
    ignored: int


def without_ignored(
    findings: Sequence[Finding],
    comments: Mapping[str, Sequence[Ignore]],
    *,
    known: Sequence[Rule],
    asked: Sequence[Rule],
) -> RemainingFindings:
    """Return the findings that no comment ignores.

    `known` are all rules, `asked` those that ran.
    """
    by_path = {path: [_Meant(one, known) for one in those] for path, those in comments.items()}
    left = [one for one in findings if not _is_ignored(one, by_path.get(one.path, ()))]
    codes = {rule.code for rule in asked}
    about = [one for one in _about(by_path, codes) if one.rule in codes]
    return RemainingFindings([*left, *about], len(findings) - len(left))


class _Meant:
    """A comment, the rules that it names, and those of them that found something."""

    def __init__(self, ignore: Ignore, known: Sequence[Rule]) -> None:
        self.ignore = ignore
        self.unknown: list[str] = []
        self.codes: dict[str, set[str]] = {}
        self.used: set[str] = set()
        for word in ignore.words:
            try:
                self.codes[word] = {rule.code for rule in matching(known, word)}
            except CannotRun:
                self.unknown.append(word)

    def takes(self, finding: Finding) -> bool:
        """Return whether the comment ignores a finding, and remember that it was of use."""
        if not self.ignore.is_about(finding.line, finding.end_line):
            return False
        words = {word for word, codes in self.codes.items() if finding.rule in codes}
        self.used |= words
        return bool(words)


def _is_ignored(finding: Finding, comments: Iterable[_Meant]) -> bool:
    taken = [one.takes(finding) for one in comments]  # by all: each of them is of use then
    return any(taken)


def _about(comments: Mapping[str, Sequence[_Meant]], asked: set[str]) -> Iterator[Finding]:
    for path, those in comments.items():
        for one in those:
            for message in _malformed(one):
                yield finding_about(one.ignore, MALFORMED_IGNORE, path=path, message=message)
            for message in _unused(one, asked):
                yield finding_about(one.ignore, UNUSED_IGNORE, path=path, message=message)


def _malformed(comment: _Meant) -> Iterator[str]:
    if not comment.ignore.words:
        yield "This comment names no rule in brackets, so it ignores nothing."
    for word in comment.unknown:
        yield f"There is no rule {word}, so this comment ignores nothing of it."


def _unused(comment: _Meant, asked: set[str]) -> Iterator[str]:
    for word, codes in comment.codes.items():
        if codes <= asked and word not in comment.used:
            yield f"{word} finds nothing here, so there is nothing to ignore."

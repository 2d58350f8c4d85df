"""Findings for a reader at a terminal: by rule, with the line and the way."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from textwrap import wrap
from typing import Final

from roadworthy.audit.model.finding import Finding, Severity
from roadworthy.audit.report.colours import Colours
from roadworthy.audit.report.groups import MOST, Group, groups_of
from roadworthy.audit.report.summary import summary
from roadworthy.audit.run.fixable import KNOWN
from roadworthy.audit.run.inspection import Inspection

__all__ = ["described", "text"]

_WIDTH: Final = 96
_PAINT: Final = {Severity.HIGH: "red", Severity.MEDIUM: "yellow", Severity.LOW: "blue"}


def text(inspection: Inspection, *, colours: Colours | None = None, most: int | None = MOST) -> str:
    """Return what was found, the gravest first, and a last line with the counts.

    Of each rule so many places are shown; `None` shows all.
    """
    page = _Page(inspection.root, colours or Colours(used=False), most, inspection.unsaved)
    groups = groups_of(inspection)
    lines = [line for group in groups for line in page.group(group)]
    *before, last = summary(inspection)
    return "\n".join([*lines, *before, page.colours.paint(last, "bold")])


def described(finding: Finding, *, root: Path) -> str:
    """Return all that is said of one finding."""
    page = _Page(root, Colours(used=False), None)
    lines = [*page.finding(finding, ""), *_wrapped(f"Fix: {finding.mend}", "  ")]
    return "\n".join([f"{finding.rule} {finding.name}  {finding.severity}", *lines])


@dataclass(frozen=True, slots=True)
class _Page:
    root: Path
    colours: Colours
    most: int | None
    unsaved: Mapping[Path, bytes] = field(default_factory=dict[Path, bytes])

    def group(self, group: Group) -> Iterator[str]:
        """Yield what a rule has found."""
        rule = group.rule
        head = self.colours.paint(f"{rule.code} {rule.name}", "bold", _PAINT[rule.severity])
        yield f"{head}  {rule.severity}, {len(group.findings)} found"
        yield from _wrapped(f"Fix: {rule.mend}", "  ")
        fixable = sum(finding.fixable for finding in group.findings)
        if fixable:
            option = "--fix" if KNOWN[rule.name].safe else "--fix --unsafe"
            yield f"  Fix:  roadworthy audit {option} --select {rule.code}  ({fixable} fixable)"
        yield ""
        said = ""
        for finding in group.places(self.most):
            yield from self.finding(finding, said)
            said = finding.message
        if others := group.others(self.most):
            yield from _wrapped(others, "  ")
            yield ""

    def finding(self, finding: Finding, said: str) -> Iterator[str]:
        """Yield a place, its code, what happens unless just said, and the way."""
        at = f"{finding.path}:{finding.line}:{finding.column}"
        where = f"  in {finding.where}" if finding.where else ""
        unsure = "" if finding.confidence == "high" else f"  ({finding.confidence} confidence)"
        yield f"  {self.colours.paint(at, 'cyan')}{_printable(where)}{unsure}"
        yield from self.code(finding)
        if finding.message != said:
            yield from _wrapped(finding.message, "    ")
        for number, step in enumerate(finding.flow):
            arrow = "→ " if number else "  "
            yield from _wrapped(f"{arrow}{step.path}:{step.line}  {step.message}", "    ")
        yield ""

    def code(self, finding: Finding) -> Iterator[str]:
        """Yield the first line of what was found, with marks under it."""
        file = self.root / finding.path
        held = self.unsaved.get(file)
        lines = _lines(file) if held is None else held.decode("utf-8-sig", "replace").split("\n")
        line = lines[finding.line - 1] if 0 < finding.line <= len(lines) else None
        if line is None:
            return
        shown = line.strip()
        begins = max(finding.column - 1 - (len(line) - len(line.lstrip())), 0)
        gutter = f"{finding.line:>6} | "
        yield self.colours.paint(gutter, "dim") + _printable(shown)
        if begins < len(shown):
            marks = " " * begins + "^" * _length(shown[begins:], finding)
            yield f"{' ' * (len(gutter) - 2)}{self.colours.paint('|', 'dim')} " + (
                self.colours.paint(marks, _PAINT[finding.severity])
            )


def _length(rest: str, finding: Finding) -> int:
    """Return how much of a line is what was found: all the rest, unless it says less."""
    return len(finding.code) if rest.startswith(finding.code) and finding.code else len(rest)


def _wrapped(text: str, indent: str) -> Iterator[str]:
    for paragraph in text.splitlines():
        yield from wrap(
            _printable(paragraph),
            _WIDTH,
            initial_indent=indent,
            subsequent_indent=f"{indent}  ",
            break_long_words=False,
            break_on_hyphens=False,
        )


def _lines(file: Path) -> list[str]:
    try:
        return _lines_of(file, file.stat().st_mtime_ns)
    except OSError:
        return []


@lru_cache(maxsize=8)
def _lines_of(file: Path, written: int) -> list[str]:
    del written  # a file that was written since is another one
    return file.read_text(encoding="utf-8-sig", errors="replace").split("\n")


def _printable(text: str) -> str:
    """Return text without what would move the cursor: the code is a stranger's."""
    return "".join(c if c.isprintable() else " " if c == "\t" else "\ufffd" for c in text)

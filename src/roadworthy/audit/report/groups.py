"""Findings by their rules, the gravest first, and which of many are shown.

Grouping is for readers only: what is new, ignored or in a baseline was decided before,
finding by finding.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from roadworthy.audit.model.finding import Finding
from roadworthy.audit.model.rule import Rule
from roadworthy.audit.report.summary import counted
from roadworthy.audit.run.inspection import Inspection

__all__ = ["MOST", "Group", "groups_of"]

MOST: Final = 10
"""Places of a rule that a reader is shown, where nobody asks for all."""
_FILES: Final = 3
"""Files that are named of those with more places."""


@dataclass(frozen=True, slots=True)
class Group:
    """A rule, and what it has found."""

    rule: Rule
    findings: Sequence[Finding]

    def places(self, most: int | None) -> Sequence[Finding]:
        """Return so many findings, one of each function before a second of any."""
        if most is None or len(self.findings) <= most:
            return self.findings
        seen: Counter[tuple[str, str]] = Counter()
        turns: list[tuple[int, int]] = []
        for at, one in enumerate(self.findings):
            function = (one.path, one.where)
            turns.append((seen[function], at))
            seen[function] += 1
        return [self.findings[at] for at in sorted(at for _, at in sorted(turns)[:most])]

    def others(self, most: int | None) -> str:
        """Say how many findings are not among the places; nothing where all are."""
        shown = set(map(id, self.places(most)))
        left = Counter(one.path for one in self.findings if id(one) not in shown)
        if not left:
            return ""
        named = ", ".join(f"{path} ({number})" for path, number in left.most_common(_FILES))
        where = f"{counted(len(left), 'file')}{', most' if len(left) > _FILES else ''}"
        return f"{left.total()} more in {where}: {named}. --all shows them."


def groups_of(inspection: Inspection) -> Sequence[Group]:
    """Return the rules that have found something, by severity and code."""
    found: dict[str, list[Finding]] = defaultdict(list)
    for finding in inspection.findings:
        found[finding.rule].append(finding)
    groups = [Group(one, found[one.code]) for one in inspection.rules if one.code in found]
    return sorted(groups, key=lambda group: (-group.rule.severity.rank, group.rule.code))

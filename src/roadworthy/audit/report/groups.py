"""Findings by their rules, the gravest first."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from roadworthy.audit.finding import Finding
from roadworthy.audit.inspection import Inspection
from roadworthy.audit.rule import Rule

__all__ = ["Group", "groups_of"]


@dataclass(frozen=True, slots=True)
class Group:
    """A rule, and what it has found."""

    rule: Rule
    findings: Sequence[Finding]


def groups_of(inspection: Inspection) -> Sequence[Group]:
    """Return the rules that have found something, by severity and code."""
    found: dict[str, list[Finding]] = defaultdict(list)
    for finding in inspection.findings:
        found[finding.rule].append(finding)
    groups = [Group(one, found[one.code]) for one in inspection.rules if one.code in found]
    return sorted(groups, key=lambda group: (-group.rule.severity.rank, group.rule.code))

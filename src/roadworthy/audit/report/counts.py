"""`--statistics`: how often each rule has found something."""

from collections.abc import Sequence

from roadworthy.audit.report.groups import groups_of
from roadworthy.audit.report.summary import summary
from roadworthy.audit.run.inspection import Inspection

__all__ = ["statistics"]


def statistics(inspection: Inspection) -> str:
    """Return a table with a line for each rule that has found something."""
    found = sorted(groups_of(inspection), key=lambda group: -len(group.findings))
    rows = [("found", "rule", "name", "severity", "fixable")]
    for group in found:
        fixable = sum(finding.fixable for finding in group.findings)
        rule = group.rule
        rows.append(
            (str(len(group.findings)), rule.code, rule.name, rule.severity, str(fixable or ""))
        )
    return "\n".join([*(_lines(rows) if found else ()), *summary(inspection)])


def _lines(rows: Sequence[Sequence[str]]) -> Sequence[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    return [*(line.rstrip() for line in lines), ""]

"""Findings as Markdown, for a comment on a change or the summary of a job."""

from collections.abc import Iterator, Sequence

from roadworthy.audit.model.finding import Finding
from roadworthy.audit.report.groups import MOST, Group, groups_of
from roadworthy.audit.report.summary import summary
from roadworthy.audit.run.inspection import Inspection

__all__ = ["markdown"]


def markdown(inspection: Inspection, *, most: int | None = MOST) -> str:
    """Return a table of what was found, then so many places of each rule, or all."""
    groups = groups_of(inspection)
    lines = ["## Roadworthy", "", *summary(inspection)]
    if groups:
        lines += ["", *_table(groups)]
    for group in groups:
        lines += ["", *_section(group, most)]
    return "\n".join(lines)


def _table(groups: Sequence[Group]) -> Iterator[str]:
    yield "| rule | severity | found | what it is |"
    yield "|---|---|---|---|"
    for one in groups:
        name = f"{one.rule.code} {one.rule.name}"
        yield f"| {name} | {one.rule.severity} | {len(one.findings)} | {_cell(one.rule.summary)} |"


def _section(group: Group, most: int | None) -> Iterator[str]:
    yield f"### {group.rule.code} {group.rule.name}"
    yield ""
    for finding in group.places(most):
        yield f"- {_code(f'{finding.path}:{finding.line}')}{_in(finding)}: {finding.message}"
        for step in finding.flow:
            yield f"  - {_code(f'{step.path}:{step.line}')} {step.message}"
    if others := group.others(most):
        yield f"- {others}"
    yield ""
    yield f"**Fix**: {group.rule.mend}"


def _in(finding: Finding) -> str:
    return f" in {_code(finding.where)}" if finding.where else ""


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")

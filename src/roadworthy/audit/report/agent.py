"""Findings for coding agents: one object, each rule explained once, exact edits."""

import json
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

from roadworthy.audit.model.finding import Finding
from roadworthy.audit.report.groups import MOST, Group, groups_of
from roadworthy.audit.run.fixable import KNOWN
from roadworthy.audit.run.inspection import Inspection

__all__ = ["Edits", "agent"]

Edits = Mapping[int, Sequence[Mapping[str, Any]]]
"""What to change for a finding, by its `id()`."""
_FORM: Final = 1


def agent(
    inspection: Inspection,
    *,
    most: int | None = MOST,
    edits: Edits | None = None,
    paths: Sequence[str] = (),
) -> str:
    """Return an object with counts, what to type next, and findings by rule.

    Of each rule so many places are shown; `None` shows all. `paths` are those that were typed.
    """
    groups = groups_of(inspection)
    result = inspection.result
    marks = _marks(inspection.findings)
    said = {
        "version": {"roadworthy": version("roadworthy"), "form": _FORM},
        "counts": {
            "found": len(inspection.findings),
            "shown": sum(len(group.places(most)) for group in groups),
            "files": result.files,
            "routes": result.routes,
            "hidden": dict(inspection.hidden),
        },
        "next": list(_next(groups, most, " ".join(map(shlex.quote, paths)))),
        "not_analysed": [{"path": one.path, "reason": one.reason} for one in result.skipped],
        "rules": [_rule(group, most, marks, edits or {}) for group in groups],
    }
    return json.dumps(said, indent=2)


def _marks(findings: Sequence[Finding]) -> Mapping[int, str]:
    """Return a fingerprint for each finding; of several that are alike, each has a number."""
    seen: Counter[str] = Counter()
    marks: dict[int, str] = {}
    for one in findings:
        seen[one.fingerprint] += 1
        marks[id(one)] = f"{one.fingerprint}:{seen[one.fingerprint]}"
    return marks


def _next(groups: Sequence[Group], most: int | None, paths: str) -> Iterator[str]:
    """Yield commands, the one that changes most first."""
    start = f"roadworthy audit {paths}".strip()
    kinds = [KNOWN[one.name].safe for group in groups for one in group.findings if one.fixable]
    if True in kinds:
        yield f"{start} --fix"
    if False in kinds:
        yield f"{start} --fix --unsafe"
    if any(group.others(most) for group in groups):
        yield f"{start} --format agent --all"
    if groups:
        yield f"{start} --format agent"


def _rule(
    group: Group, most: int | None, marks: Mapping[int, str], edits: Edits
) -> Mapping[str, Any]:
    rule = group.rule
    return {
        "code": rule.code,
        "name": rule.name,
        "severity": rule.severity,
        "summary": rule.summary,
        "why": " ".join(rule.why.split()),
        "mend": rule.mend,
        "found": len(group.findings),
        "findings": [_finding(one, marks, edits) for one in group.places(most)],
    }


def _finding(one: Finding, marks: Mapping[int, str], edits: Edits) -> Mapping[str, Any]:
    members = dict(one.as_json())
    for said_by_rule in ("rule", "name", "severity", "mend"):
        del members[said_by_rule]
    return {
        "fingerprint": marks[id(one)],
        **members,
        "where": one.where,
        "edits": list(edits.get(id(one), ())),
    }

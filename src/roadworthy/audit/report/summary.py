"""The last lines: how much was found, where was looked, and what was not analysed."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.model.finding import Finding, Severity
from roadworthy.audit.run.inspection import Inspection

__all__ = ["counted", "summary"]

_MOST: Final = 10
"""Files that are named one by one where they could not be read."""

_PLACES: Final = 3
"""Places that are named of what becomes true on an upgrade."""

_HIDDEN: Final = {
    "ignored": "ignored by comments",
    "per-file-ignores": "ignored by per-file-ignores",
    "severity": "of less severity",
    "unchanged": "in lines that have not changed",
    "baseline": "in the baseline",
    "confidence": "of less confidence (--confidence low shows them)",
}


def summary(inspection: Inspection) -> Iterator[str]:
    """Yield what was not analysed, what is not shown, and the counts."""
    yield from _skipped(inspection)
    yield from inspection.result.notes
    yield from _upcoming(inspection)
    hidden = [f"{count} {_HIDDEN[why]}" for why, count in inspection.hidden.items()]
    if hidden:
        yield f"Not shown: {', '.join(hidden)}."
    yield f"{_found(inspection)} {_looked(inspection)}"


def _upcoming(inspection: Inspection) -> Iterator[str]:
    """Yield what becomes true on an upgrade, a line for each version and rule."""
    found: dict[tuple[str, str, str], list[Finding]] = {}
    for one in inspection.upcoming:
        found.setdefault((one.since, one.rule, one.name), []).append(one)
    for (version, rule, name), those in sorted(found.items()):
        places = ", ".join(f"{one.path}:{one.line}" for one in those[:_PLACES])
        more = f" and {len(those) - _PLACES} more" if len(those) > _PLACES else ""
        yield f"True from {version} on: {rule} {name} at {places}{more}."


def counted(number: int, thing: str) -> str:
    """Return `1 file` or `2 files`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _skipped(inspection: Inspection) -> Iterator[str]:
    skipped = inspection.result.skipped
    if skipped:
        yield f"Not analysed: {counted(len(skipped), 'file')}."
    for one in skipped[:_MOST]:
        yield f"  {one.path}: {one.reason}"
    if len(skipped) > _MOST:
        yield f"  and {len(skipped) - _MOST} more"


def _found(inspection: Inspection) -> str:
    findings = inspection.findings
    if not findings:
        return "Nothing found."
    by = Counter(finding.severity for finding in findings)
    grave = ", ".join(f"{by[one]} {one}" for one in reversed(Severity) if by[one])
    return f"{len(findings)} found ({grave}) in {counted(len({f.path for f in findings}), 'file')}."


def _looked(inspection: Inspection) -> str:
    result = inspection.result
    routes = counted(result.routes, "route") if result.routes else "No route of FastAPI"
    return f"{routes} in {counted(result.files, 'Python file')}."

"""Findings as workflow commands of GitHub: it shows them beside the lines."""

from typing import Final

from roadworthy.audit.model.finding import Finding, Severity
from roadworthy.audit.run.inspection import Inspection

__all__ = ["annotations"]

_LEVELS: Final = {Severity.HIGH: "error", Severity.MEDIUM: "warning", Severity.LOW: "notice"}


def annotations(inspection: Inspection) -> str:
    """Return a line for each finding."""
    return "\n".join(_annotation(finding) for finding in inspection.findings)


def _annotation(finding: Finding) -> str:
    properties = {
        "file": finding.path,
        "line": finding.line,
        "endLine": finding.end_line,
        "col": finding.column,
        "title": f"{finding.rule} {finding.name}",
    }
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    text = f"{finding.message}\n{finding.mend}".strip()
    return f"::{_LEVELS[finding.severity]} {listed}::{_escaped(text)}"


def _property(value: object) -> str:
    return _escaped(str(value)).replace(":", "%3A").replace(",", "%2C")


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")

"""Findings as SARIF 2.1.0 (OASIS), which code scanning services read."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from roadworthy.audit.model.finding import Confidence, Finding, Severity, Step
from roadworthy.audit.model.result import Skipped
from roadworthy.audit.model.rule import Rule
from roadworthy.audit.run.inspection import Inspection

__all__ = ["sarif"]

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS: Final = {Severity.HIGH: "error", Severity.MEDIUM: "warning", Severity.LOW: "note"}
_PRECISION: Final = {
    Confidence.HIGH: "very-high",
    Confidence.MEDIUM: "high",
    Confidence.LOW: "medium",
}
_PAGES: Final = "https://github.com/roadworthy/roadworthy/blob/main/docs/audit"
_ROOT: Final = "%SRCROOT%"


def sarif(inspection: Inspection) -> str:
    """Return one run, with the rules that were asked."""
    rules = sorted(inspection.rules, key=lambda rule: rule.code)
    places = {rule.code: number for number, rule in enumerate(rules)}
    driver = {
        "name": "Roadworthy",
        "semanticVersion": version("roadworthy"),
        "rules": [_rule(rule) for rule in rules],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_ROOT: {"uri": f"{inspection.root.as_uri().rstrip('/')}/"}},
        "invocations": [_invocation(inspection.result.skipped)],
        "results": _results(inspection.findings, places),
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _rule(rule: Rule) -> Mapping[str, Any]:
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.summary},
        "helpUri": f"{_PAGES}/{rule.code}.md",
        "fullDescription": {"text": _line(rule.why)},
        "help": {"text": _help(rule), "markdown": _help(rule)},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": ["fastapi"], "problem.severity": _severity(rule.severity)},
    }


def _severity(severity: Severity) -> str:
    return {"note": "recommendation"}.get(_LEVELS[severity], _LEVELS[severity])


def _help(rule: Rule) -> str:
    return "\n\n".join(filter(None, [_line(rule.why), f"Mend: {rule.mend}", rule.ours]))


def _invocation(skipped: Sequence[Skipped]) -> Mapping[str, Any]:
    notices = [
        {
            "level": "warning",
            "message": {"text": f"Not analysed: {one.reason}"},
            "locations": [{"physicalLocation": {"artifactLocation": _artifact(one.path)}}],
        }
        for one in skipped
    ]
    return {"executionSuccessful": True, "toolExecutionNotifications": notices}


def _results(findings: Sequence[Finding], places: Mapping[str, int]) -> list[Any]:
    seen: Counter[str] = Counter()
    results: list[Any] = []
    for finding in findings:
        seen[finding.fingerprint] += 1  # of several that are alike, each has a number
        mark = f"{finding.fingerprint}:{seen[finding.fingerprint]}"
        results.append(_result(finding, places[finding.rule], mark))
    return results


def _result(finding: Finding, place: int, mark: str) -> Mapping[str, Any]:
    flows = {"codeFlows": [_flow(finding)]} if finding.flow else {}
    return {
        "ruleId": finding.rule,
        "ruleIndex": place,
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.message}\nMend: {finding.mend}"},
        "locations": [_location(finding)],
        # GitHub looks at the second one only.
        "partialFingerprints": {"roadworthy/v1": mark, "primaryLocationLineHash": mark},
        "properties": {
            "confidence": finding.confidence,
            "precision": _PRECISION[finding.confidence],
            "fixable": finding.fixable,
        },
        **flows,
    }


def _location(finding: Finding) -> Mapping[str, Any]:
    region = {
        "startLine": finding.line,
        "startColumn": finding.column,
        "endLine": finding.end_line,
    }
    where = {"logicalLocations": [{"fullyQualifiedName": finding.where}]} if finding.where else {}
    return {
        "physicalLocation": {"artifactLocation": _artifact(finding.path), "region": region},
        **where,
    }


def _flow(finding: Finding) -> Mapping[str, Any]:
    ends = Step(finding.path, finding.line, finding.message)
    steps = finding.flow if finding.flow[-1].line == finding.line else (*finding.flow, ends)
    return {"threadFlows": [{"locations": [{"location": _step(step)} for step in steps]}]}


def _step(step: Step) -> Mapping[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": _artifact(step.path),
            "region": {"startLine": step.line},
        },
        "message": {"text": step.message},
    }


def _artifact(path: str) -> Mapping[str, str]:
    if Path(path).is_absolute():  # it is not under the root
        return {"uri": Path(path).as_uri()}
    return {"uri": quote(path), "uriBaseId": _ROOT}


def _line(text: str) -> str:
    return " ".join(text.split())

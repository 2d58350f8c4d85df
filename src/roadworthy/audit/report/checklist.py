"""The eight items of the checklist, answered: pass, fail or could not tell."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from roadworthy.audit.model.finding import Confidence, Finding
from roadworthy.audit.report.summary import summary
from roadworthy.audit.run.inspection import Inspection

__all__ = ["Answer", "answers", "as_json", "as_text"]


_Said: TypeAlias = Literal["pass", "fail", "could not tell"]


@dataclass(frozen=True, slots=True)
class _Item:
    """A question, the things that it is about, and the rules that answer it."""

    question: str
    things: str
    census: str
    rules: Sequence[str]
    """The beginnings of their codes."""


_ITEMS: Final = (
    _Item("Partial updates write only what was sent", "PATCH routes", "#patches", ("RW1",)),
    _Item(
        "Dependencies clean up, whatever happens",
        "dependencies with yield",
        "#dependencies",
        ("RW2",),
    ),
    _Item("Failures have one shape, and do not leak", "routes", "#routes", ("RW3",)),
    _Item("No route makes the others wait", "async routes", "#async-routes", ("RW7",)),
    _Item("Uploads are bounded, and judged by their bytes", "uploads", "#uploads", ("RW5",)),
    _Item("Health says what the service depends on", "health routes", "#health", ("RW6",)),
    _Item("Background work does not fail unseen", "starts of work", "#background", ("RW4",)),
)
_HEADERS: Final = "Errors carry a code in a header, for machines"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said to a question."""

    question: str
    answer: _Said
    count: int
    """Mistakes where it fails; where it passes, or could not be told, what there is of it."""
    why: str


def answers(inspection: Inspection) -> Sequence[Answer]:
    """Return the answers; the inspection must have asked `CENSUS` as well."""
    there = Counter(finding.rule for finding in inspection.result.findings)
    return [*(_answer(item, inspection, there) for item in _ITEMS), _headers(there)]


def as_text(inspection: Inspection) -> str:
    """Return a line for each item, and what was not analysed."""
    lines: list[str] = []
    for number, one in enumerate(answers(inspection), 1):
        said = one.answer if one.answer == "pass" else f"{one.answer} ({one.count})"
        lines += [f"{number}. {said:<20} {one.question}", f"{' ' * 24}{one.why}"]
    return "\n".join([*lines, "", *_limits(inspection), *summary(inspection)])


def as_json(inspection: Inspection) -> str:
    """Return the answers as a list."""
    names = Answer.__slots__
    listed = [{name: getattr(one, name) for name in names} for one in answers(inspection)]
    return json.dumps(listed, indent=2)


def _answer(item: _Item, inspection: Inspection, there: Counter[str]) -> Answer:
    found = [one for one in inspection.findings if _is_of(one, item)]
    unsure = [one for one in inspection.result.findings if _is_of(one, item) and _is_low(one)]
    asked = [rule for rule in inspection.rules if rule.code.startswith(tuple(item.rules))]
    things = f"{there[item.census]} {item.things}"
    if found:
        return Answer(item.question, "fail", len(found), _by_rule(found))
    if not asked:
        return Answer(item.question, "could not tell", 0, "no rule about it was asked")
    if unsure:
        why = f"{_by_rule(unsure)}: not sure enough (--confidence low shows them)"
        return Answer(item.question, "could not tell", len(unsure), why)
    if not there[item.census]:
        return Answer(item.question, "could not tell", 0, f"no {item.things} were found")
    return Answer(item.question, "pass", there[item.census], f"{things} were looked at")


def _headers(there: Counter[str]) -> Answer:
    """Answer by what decides most: who answers errors, before what they are made with."""
    bare, coded = there["#errors-without-headers"], there["#errors-with-headers"]
    unknown, without = there["#handlers: not known"], there["#handlers: none"]
    sending = 0 if there["#handlers: those of the exception"] else there["#handlers: a code"]
    ours, handlers = there["#contracts"], "handlers of exceptions"
    said: Sequence[tuple[int, _Said, str]] = (
        (ours, "pass", "roadworthy.problems sends X-Error-Code with every error"),
        (unknown, "could not tell", f"{unknown} {handlers} answer in a way that is not read"),
        (without, "fail", f"{without} {handlers} answer without a code in a header"),
        (sending, "pass", f"{sending} {handlers} send a code in a header"),
        (bare, "fail", f"{bare} of {bare + coded} HTTPExceptions have no code in a header"),
        (coded, "pass", f"{coded} HTTPExceptions have a code in a header"),
    )
    none: tuple[int, _Said, str] = (0, "could not tell", "no HTTPException was found")
    count, answer, why = next((one for one in said if one[0]), none)
    return Answer(_HEADERS, answer, count, why)


def _is_of(finding: Finding, item: _Item) -> bool:
    return finding.rule.startswith(tuple(item.rules))


def _is_low(finding: Finding) -> bool:
    return finding.confidence is Confidence.LOW


def _by_rule(findings: Sequence[Finding]) -> str:
    counted = Counter(f"{one.rule} {one.name}" for one in findings)
    return ", ".join(f"{name}: {count}" for name, count in sorted(counted.items()))


def _limits(inspection: Inspection) -> Iterator[str]:
    files = inspection.result.files
    yield f"{files} Python files were looked at; tests, and what is excluded, were not."
    yield "What only run time knows is not read: routes made in loops, settings, other languages."

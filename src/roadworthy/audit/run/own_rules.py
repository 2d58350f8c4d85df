"""The rules about comments that ignore others; the engine does not ask them."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from roadworthy.audit.model.finding import Confidence, Finding, Severity
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.run.ignore_comments import Ignore

__all__ = ["MALFORMED_IGNORE", "UNUSED_IGNORE", "all_rules", "finding_about"]


def _check(_: Any) -> Iterator[Hit]:
    yield from ()


UNUSED_IGNORE: Final = Rule(
    code="RW001",
    name="unused-ignore",
    severity=Severity.LOW,
    looks="module",
    check=_check,
    summary="A comment ignores a rule that finds nothing there.",
    why="""The mistake was mended, or the comment stands in another line than the finding. A
comment that is left behind hides the next mistake of that kind in that line. Only rules that
were asked are reported: with `--select RW2`, a comment about RW301 is not looked at.""",
    mend="Remove the comment, or the code of that rule from it.",
    bad=(Example("total = 1  # roadworthy: ignore[RW201] the queue retries"),),
    good=(Example("total = 1"),),
)
"""Reports what has nothing to ignore."""

MALFORMED_IGNORE: Final = Rule(
    code="RW002",
    name="malformed-ignore",
    severity=Severity.LOW,
    looks="module",
    check=_check,
    summary="A comment wants findings ignored, and does not say which.",
    why="""It ignores nothing. A comment without a rule would hide every mistake in its line,
also those that nobody has made yet.""",
    mend="Name the rule, and say why: # roadworthy: ignore[RW201] the client retries",
    bad=(Example("total = 1  # roadworthy: ignore"),),
    good=(Example("total = 1  # roadworthy: ignore[RW201] the client retries"),),
)
"""Reports what cannot be understood."""


def all_rules() -> Sequence[Rule]:
    """Return every rule there is, by their codes."""
    from roadworthy.audit.rules import RULES  # noqa: PLC0415  # loading it takes a while

    return (UNUSED_IGNORE, MALFORMED_IGNORE, *RULES)


def finding_about(ignore: Ignore, rule: Rule, *, path: str, message: str) -> Finding:
    """Return a finding at a comment."""
    return Finding(
        rule=rule.code,
        name=rule.name,
        path=path,
        line=ignore.line,
        column=ignore.column,
        end_line=ignore.line,
        severity=rule.severity,
        confidence=Confidence.HIGH,
        message=message,
        mend=rule.mend,
        code=ignore.text[:200],
    )

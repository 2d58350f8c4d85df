"""Which findings can be mended, as far as their text tells."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from roadworthy.audit.finding import Finding

__all__ = ["KNOWN", "Known", "fixable"]


@dataclass(frozen=True, slots=True)
class Known:
    """A fix: the module that does it, and which findings it may be for."""

    module: str
    safe: bool
    """Whether nothing else changes than what the finding says."""
    fits: Callable[[Finding], bool]


def _always(_: Finding) -> bool:
    return True


def _has(text: str) -> Callable[[Finding], bool]:
    return lambda finding: text in finding.code


def _dumps(finding: Finding) -> bool:
    return finding.fixable and (".model_dump(" in finding.code or ".dict(" in finding.code)


KNOWN: Final[Mapping[str, Known]] = {
    "broad-except-eats-http-exception": Known("broad_except", safe=True, fits=_always),
    "tuple-status-return": Known("tuple_return", safe=True, fits=_always),
    "patch-null-overwrite": Known("whole_dump", safe=True, fits=_dumps),
    "blocking-call-in-async-route": Known("sleep", safe=True, fits=_has("sleep(")),
    "exception-text-to-client": Known("exception_text", safe=True, fits=_has("detail=str(")),
    "commit-after-response": Known("function_scope", safe=False, fits=_always),
}
"""The fix for each rule, by its name."""


def fixable(finding: Finding) -> bool:
    """Return whether a fix may mend a finding; if it does not, it is taken back."""
    known = KNOWN.get(finding.name)
    return known is not None and known.fits(finding)

"""`Sign`: one thing that speaks for or against a rollout; `Verdict`: all of them together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = ["LEVELS", "Level", "Sign", "Verdict", "verdict_of"]

Level: TypeAlias = Literal["good", "note", "wait", "stop", "unknown"]
"""Is well; is worth a look; asks to wait; forbids a rollout; could not be read."""

LEVELS: Final[tuple[Level, ...]] = ("stop", "unknown", "wait", "note", "good")
"""The worst first."""


@dataclass(frozen=True, slots=True)
class Sign:
    """One row of the page: about what, how it stands, and why."""

    about: str
    level: Level
    says: str
    page: str = ""
    """The name of the page that tells more."""
    query: tuple[tuple[str, str], ...] = ()
    """The filters of that page."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether it is safe to roll out now."""

    word: Literal["Yes", "Wait", "No"]
    reasons: tuple[Sign, ...]
    """What speaks against it."""


def verdict_of(signs: Sequence[Sign]) -> Verdict:
    """Return what all signs say together: the worst of them decides."""
    if stops := tuple(sign for sign in signs if sign.level == "stop"):
        return Verdict("No", stops)
    waits = tuple(sign for sign in signs if sign.level in {"wait", "unknown"})
    return Verdict("Wait" if waits else "Yes", waits)

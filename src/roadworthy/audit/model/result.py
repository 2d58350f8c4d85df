"""`Result`: what an audit has found, and what it has not looked at."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from roadworthy.audit.model.finding import Finding

__all__ = ["OnProgress", "Result", "Skipped"]

OnProgress: TypeAlias = Callable[[int, int], None]
"""Called with how many files are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that could not be read, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Everything that was found, in all confidences, in the order of paths and lines."""

    findings: tuple[Finding, ...]
    files: int
    """Python files under the paths."""
    paths: tuple[str, ...] = ()
    """Which those are."""
    parsed: int
    """How many of them had to be understood: the others cannot be reached from FastAPI."""
    routes: int
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    """What else a reader should know, a sentence each."""

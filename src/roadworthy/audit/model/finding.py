"""`Finding`: one mistake in somebody's code, and where and why it is one."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

__all__ = ["Confidence", "Finding", "Severity", "Step"]


class _Ordered(StrEnum):
    """Names that are listed from the least to the greatest."""

    @property
    def rank(self) -> int:
        """Return its place among the names: 0 for the least."""
        return list(type(self)).index(self)


class Severity(_Ordered):
    """What it costs on a bad day."""

    LOW = "low"
    """A wrong answer, or nobody sees that something failed."""
    MEDIUM = "medium"
    """The service is slow, or away."""
    HIGH = "high"
    """Data is lost or wrong, or somebody gets in."""


class Confidence(_Ordered):
    """How often such a finding is right."""

    LOW = "low"
    """A question to a reader; not shown unless asked for."""
    MEDIUM = "medium"
    """At least 4 of 5."""
    HIGH = "high"
    """At least 19 of 20."""


def _hash(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Step:
    """One place on the way from the request to the mistake."""

    path: str
    line: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A mistake, where it is, and what happens to a request because of it."""

    rule: str
    """The rule's code, such as `RW201`."""
    name: str
    """The rule's name, such as `commit-after-response`."""
    path: str
    """Relative to where the audit was started, with `/`."""
    line: int
    """The first line is 1."""
    column: int
    """The first column is 1."""
    end_line: int
    severity: Severity
    confidence: Confidence
    message: str
    mend: str
    """What to type instead."""
    fixable: bool = False
    """Whether `--fix`, or `--fix --unsafe`, can do it."""
    flow: tuple[Step, ...] = ()
    """The way there, from the route on; empty where it is all in one place."""
    where: str = ""
    """The qualified name of the function or class; not shown in JSON."""
    code: str = ""
    """The code found, its white space normalised; not shown in JSON."""
    since: str = ""
    """The version from which it is true; empty where it is now. Not shown in JSON."""

    @property
    def fingerprint(self) -> str:
        """Return what stays the same when lines move or the file is reformatted."""
        return _hash(self.rule, self.path, self.where, self.code)

    @property
    def content(self) -> str:
        """Return what stays the same also when its function moves to another file."""
        return _hash(self.rule, self.where, self.code)

    def as_json(self) -> Mapping[str, Any]:
        """Return the members that reports in JSON have."""
        members = asdict(self)
        del members["where"], members["code"], members["since"]
        return members

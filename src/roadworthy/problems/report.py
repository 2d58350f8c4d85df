"""`Report`: one failure as clients may read it, whatever its spelling."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from roadworthy.problems.problem import Problem

__all__ = ["FIRST_ERROR", "Report"]

FIRST_ERROR = 400
"""The first status that is an error (RFC 9110 §15.5)."""


@dataclass(frozen=True, slots=True)
class Report:
    """The facts of a failure, without its cause and without text of the client."""

    status: int
    code: str
    title: str
    message: str
    details: list[Any] = field(default_factory=list[Any])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    page: str = ""
    """The code whose page describes the failure, if that is not its own code."""

    @classmethod
    def of(cls, problem: Problem) -> "Report":
        """Return the report of a problem."""
        return cls(
            status=problem.status,
            code=problem.code,
            title=problem.title,
            message=problem.detail,
            details=problem.details(),
            headers=problem.headers or {},
        )

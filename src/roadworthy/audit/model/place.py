"""`Place`: a piece of code in a file, and the function it stands in."""

from dataclasses import dataclass

__all__ = ["Place"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something is in the code."""

    path: str
    line: int
    column: int
    end_line: int
    where: str
    """The qualified name of the function or class; empty at module level."""
    code: str
    """The code, its white space normalised, cut at 200 characters."""

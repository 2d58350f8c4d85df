"""One error contract for a whole service."""

from roadworthy.problems.problem import Problem

__all__ = ["Problem"]

"""`Sampler`: which problems are kept where many come at once, and how many each stands for."""

from collections import Counter
from time import monotonic
from typing import Final

__all__ = ["Sampler"]

_MOST_KINDS: Final = 1000
"""Kinds that are counted while none of them is kept; what is more counts as the last kept."""


class Sampler:
    """Keep the first problems of each second, and count the others by their kind.

    Args:
        per_second: How many are kept in a second, at most, of all kinds together.
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._second = 0
        self._kept = 0
        self._left_out: Counter[tuple[str, str]] = Counter()

    def take(self, kind: tuple[str, str]) -> int:
        """Return how many problems a row of this kind stands for; 0 where none is written."""
        second = int(monotonic())
        if second != self._second:
            self._second, self._kept = second, 0
        if self._kept < self._per_second:
            self._kept += 1
            return 1 + self._left_out.pop(kind, 0)
        if kind in self._left_out or len(self._left_out) < _MOST_KINDS:
            self._left_out[kind] += 1
        return 0

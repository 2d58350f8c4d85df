"""`Slots`: the slots of a tier, and the jobs claimed for them in advance."""

from collections import deque
from time import monotonic
from typing import Final

from roadworthy.jobs.table.ledger import Claimed

__all__ = ["PATIENCE", "Slots"]

PATIENCE: Final = 0.25
"""Seconds that a claimed job waits for a slot before another worker may have it."""
_SHORT: Final = 0.02
"""Seconds: jobs shorter than this end before the next ones are claimed."""
_PREFETCH: Final = 3
"""Short jobs claimed in advance for each slot."""
_WEIGHT: Final = 0.1
"""The weight of the last job in the mean duration."""


class Slots:
    """Count how many jobs may begin on a tier, and how many to claim for it.

    Only jobs with a free slot are claimed, so that other workers get the rest, unless recent jobs
    were so short that slots would be empty during each claim.

    Args:
        places: How many jobs the tier runs at a time.
        prefetch: Whether short jobs may be claimed in advance.
    """

    def __init__(self, places: int, *, prefetch: bool) -> None:
        self.free = places
        self.prefetched: deque[Claimed] = deque()
        """Jobs that are claimed and not begun."""
        self._most_prefetched = places * _PREFETCH if prefetch else 0
        self._mean = 1.0
        self._moved_at = 0.0

    @property
    def wanted(self) -> int:
        """How many more jobs to claim for this tier."""
        more = self._most_prefetched if self._mean < _SHORT else 0
        return max(0, self.free + more - len(self.prefetched))

    def note(self, seconds: float) -> None:
        """Count the duration of a job."""
        self._mean += (seconds - self._mean) * _WEIGHT

    def take(self) -> Claimed | None:
        """Take the next job that may begin, and a slot for it."""
        if not self.free or not self.prefetched:
            return None
        self.free -= 1
        self._moved_at = monotonic()
        return self.prefetched.popleft()

    def give_back(self, *, all_of_them: bool) -> list[str]:
        """Drop jobs that have waited for a slot too long, and return their ids."""
        if not self.prefetched or not (all_of_them or monotonic() - self._moved_at > PATIENCE):
            return []
        ids = [job.id for job in self.prefetched]
        self.prefetched.clear()
        self._mean = 1.0
        return ids

    def forget(self, id_: str) -> None:
        """Drop a claimed job, which another worker has by now."""
        self.prefetched = deque(job for job in self.prefetched if job.id != id_)

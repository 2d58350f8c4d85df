"""`Unsettled`: jobs that have ended in this worker, but not yet in the table."""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["Batch", "Unsettled"]


@dataclass(frozen=True, slots=True)
class Batch:
    """The ids of jobs whose end is written down in one transaction."""

    done: list[str]
    returned: list[str]
    """Given back to the queue."""
    begun: frozenset[str]
    """Those of `returned` that had begun: they are kept as attempts."""


class Unsettled:
    """Collect the ids of ended jobs until a transaction writes them down."""

    def __init__(self) -> None:
        self._done: list[str] = []
        self._returned: list[str] = []
        self._begun: set[str] = set()
        self._in_transaction: list[str] = []
        """Jobs that a transaction is writing down: until it ends, they are ours."""

    @property
    def ids(self) -> list[str]:
        """Every job in here: their leases are extended until they are written down."""
        return [*self._done, *self._returned, *self._in_transaction]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write down."""
        return not (self._done or self._returned)

    def add_done(self, id_: str) -> None:
        """Add a job that has succeeded."""
        self._done.append(id_)

    def give_back(self, ids: Iterable[str], *, begun: bool) -> None:
        """Add jobs that this worker does not finish."""
        returned = list(ids)
        self._returned += returned
        if begun:
            self._begun.update(returned)

    def take(self) -> Batch:
        """Return all of them, and begin anew."""
        batch = Batch(
            self._done, self._returned, frozenset(self._begun.intersection(self._returned))
        )
        self._done, self._returned = [], []
        return batch

    @contextmanager
    def settling(self, batch: Batch) -> Generator[None]:
        """Hold a batch while a transaction writes it down; take it back where that fails."""
        # A lease that ended while we stood still is extended, not taken for a dead worker's.
        self._in_transaction = [*batch.done, *batch.returned]
        try:
            yield
        except BaseException:
            self._done, self._returned = batch.done + self._done, batch.returned + self._returned
            raise
        finally:
            self._in_transaction = []
        self._begun -= batch.begun

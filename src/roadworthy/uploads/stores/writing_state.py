"""`WritingState`: which call of a writing may come next."""

from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["WritingState"]


class WritingState:
    """Check the order of calls: enter, write, commit once, leave; one at a time."""

    def __init__(self) -> None:
        self._stage = "new"

    def enter(self) -> None:
        """Note that the writing is entered, once."""
        self._go("new", "open")

    @contextmanager
    def writing(self) -> Generator[None]:
        """Write inside this context; an exception makes the writing unusable."""
        self._go("open", "torn")
        yield
        self._go("torn", "open")

    @contextmanager
    def committing(self) -> Generator[None]:
        """Commit inside this context; an exception makes the writing unusable."""
        self._go("open", "torn")
        yield
        self._go("torn", "committed")

    def leave(self) -> None:
        """Note that the writing has ended."""
        self._stage = "over"

    def _go(self, before: str, after: str) -> None:
        if self._stage != before:
            raise RuntimeError(
                f"This writing is {self._stage}, and should be {before}. It is entered once, "
                "written to by one task, and committed once. One that failed or was cancelled "
                "half-way is torn: leave it, and begin another."
            )
        self._stage = after

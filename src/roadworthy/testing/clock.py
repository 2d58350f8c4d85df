"""`Clock`: the time of jobs in a test."""

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from roadworthy.jobs.table import clock

__all__ = ["Clock"]


class Clock:
    """A clock that stands still until it is moved.

        with Clock() as clock:
            ...
            clock.advance(timedelta(hours=1))

    Meanwhile, what the test calls enqueues, schedules, retries and runs jobs by this
    clock: in the test itself, in requests of a test client, and in `Worker`. An engine
    that runs for itself goes on by the system's. It begins at `at`, or now.
    """

    def __init__(self, at: datetime | None = None) -> None:
        if at is not None and at.tzinfo is None:
            raise ValueError("at needs a time zone: Clock(datetime(2030, 1, 1, tzinfo=UTC)).")
        self._now = datetime.now(UTC) if at is None else at.astimezone(UTC)
        self._entered = ExitStack()

    def __repr__(self) -> str:
        return f"Clock({self._now.isoformat()})"

    def __enter__(self) -> Self:
        self._entered.enter_context(clock.use(self.now))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._entered.close()

    def now(self) -> datetime:
        """Return the time of the clock, in UTC."""
        return self._now

    def advance(self, by: timedelta) -> None:
        """Move the clock on.

        Raises:
            ValueError: `by` goes back.
        """
        if by < timedelta(0):
            raise ValueError(f"A clock goes on: {by} is less than nothing.")
        self._now += by

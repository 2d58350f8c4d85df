"""What time it is, for whatever writes down when a job is due; a test may stop it.

It is a context variable: whatever the test starts sees it, nobody else does, and
nothing is left of it afterwards.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

__all__ = ["current", "now", "use"]


def _system() -> datetime:
    return datetime.now(UTC)


current: ContextVar[Callable[[], datetime]] = ContextVar("roadworthy_jobs_clock", default=_system)
"""What `now` asks; read the time with `now()`."""


def now() -> datetime:
    """Return the time, in UTC."""
    return current.get()()


@contextmanager
def use(clock: Callable[[], datetime]) -> Generator[None]:
    """Take the time from `clock` meanwhile."""
    token = current.set(clock)
    try:
        yield
    finally:
        current.reset(token)

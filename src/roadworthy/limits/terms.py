"""`Terms`: the limits of an application, as `install` took them."""

from collections.abc import Callable
from dataclasses import dataclass

from roadworthy.problems import Problem

__all__ = ["Terms"]


@dataclass(frozen=True, slots=True)
class Terms:
    """The limits of an application; seconds, and None for no limit."""

    time: float | None
    """For one request, from its head to the start of its response."""
    problem: Callable[[], Problem]
    """What is answered for one that is over its time."""
    at_most: int | None
    """Requests at a time."""
    body_idle: float | None
    """Between two pieces of a body."""
    body_min_rate: int
    """Bytes a second, on the average, of the time that a body is waited for."""
    cancel_on_disconnect: bool
    """Whether all requests are cancelled whose clients leave."""

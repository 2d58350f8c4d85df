"""`CannotRun`: why there is no answer, and what to type."""

__all__ = ["CannotRun"]


class CannotRun(Exception):
    """The audit was asked for something that it cannot do: its text says what to type."""

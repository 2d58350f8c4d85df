"""`CannotRun`: why there is no answer, and what to type."""

__all__ = ["CannotRun", "NotInstalled"]


class CannotRun(Exception):
    """The audit was asked for something that it cannot do: its text says what to type."""


class NotInstalled(CannotRun, ModuleNotFoundError):
    """A library is absent that the audit needs for this: its text says what to install."""

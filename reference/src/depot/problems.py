"""The problems of more than one domain."""

from typing import Any

from roadworthy.problems import Problem

__all__ = ["NotReady"]


class NotReady(Problem):
    """It is still being made; ask again after `Retry-After` seconds."""

    status = 404
    title = "Not ready"
    detail = "This is still being made."
    headers = {"Retry-After": "{retry_after}"}  # noqa: RUF012 - never changed
    retry_after: int = 1

    def details(self) -> list[Any]:
        """Carry nothing: the wait is in the header."""
        return []

"""`PartBudget`: a limit of small parts, which would cost time without end."""

from typing import Final

from roadworthy.uploads.types.inspecting.filetype import Rejected
from roadworthy.uploads.types.inspecting.reasons import TOO_MANY_ENTRIES

__all__ = ["PartBudget"]

_FREE_PARTS: Final = 10_000


class PartBudget:
    """Count the parts of a file: too many small ones would cost too much time."""

    def __init__(self, *, mean_bytes: int, free: int = _FREE_PARTS) -> None:
        self._mean_bytes, self._free = mean_bytes, free
        self._count = 0

    def one_more(self, offset: int) -> None:
        """Count a part that ends at an offset.

        Raises:
            Rejected: There are many, and they are smaller than `mean_bytes` on average.
        """
        self._count += 1
        if self._count > self._free + offset // self._mean_bytes:
            raise Rejected(TOO_MANY_ENTRIES, "The file has too many parts.")

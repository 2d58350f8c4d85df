"""A clock on the wall that jumps, for some processes only: libfaketime with a file."""

from pathlib import Path
from typing import Final

from support import debian

__all__ = ["FalseClock"]

_LIBRARY: Final = "usr/lib/*/faketime/libfaketimeMT.so.1"


class FalseClock:
    """Set the wall clock of whoever has `environment`; other clocks go on as they are.

    A jump is seen within a second. Deadlines count on the monotonic clock, which never
    jumps on a real machine either, and files have the times of the machine.
    """

    def __init__(self, folder: Path) -> None:
        debian.program("faketime", package="faketime")
        self._file = folder / "clock"
        self.jump(0)
        self.environment = {
            "LD_PRELOAD": str(next(Path("/").glob(_LIBRARY))),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def jump(self, seconds: int) -> None:
        """Be so many seconds ahead of the true time; behind it, where negative."""
        # Replaced, not written to: nobody reads half of it.
        written = self._file.with_suffix(".new")
        written.write_text(f"{seconds:+d}\n")
        written.replace(self._file)

"""What happens to a disk."""

import time
from contextlib import suppress
from typing import Final

from faults.kinds.fault import Fault, Scene

__all__ = ["FAULTS"]


def _full(scene: Scene) -> None:
    filling = scene.folder / "filling"
    with filling.open("wb") as file, suppress(OSError):
        while True:
            file.write(bytes(64 * 1024))
    time.sleep(3)
    filling.unlink()


FAULTS: Final = (
    Fault(
        name="disk_full",
        text="disk full for 3 s",
        happen=_full,
        on=("sqlite",),
        usually_on=("sqlite",),
        needs=frozenset({"disk"}),
    ),
)

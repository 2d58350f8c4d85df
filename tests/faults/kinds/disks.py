"""What happens to a disk."""

import time
from contextlib import suppress
from typing import Final

from faults.kinds.fault import Fault, Scene

__all__ = ["FAULTS"]


def _full(scene: Scene) -> None:
    filling = scene.folder / "filling"
    with suppress(OSError), filling.open("wb") as file:  # it may be full before that
        while True:
            file.write(bytes(64 * 1024))
    time.sleep(3)
    filling.unlink(missing_ok=True)


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

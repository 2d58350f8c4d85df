"""Every fault on every stack where it can happen."""

from collections.abc import Iterator
from typing import Final

from faults.kinds import brokers, clocks, database, disks, objects, processes, versions
from faults.kinds.fault import Fault
from faults.stacks import STACKS

__all__ = ["FAULTS", "runs"]

_MODULES: Final = (processes, disks, database, brokers, objects, clocks, versions)
FAULTS: Final[tuple[Fault, ...]] = tuple(fault for module in _MODULES for fault in module.FAULTS)


def runs(*, all_of_them: bool) -> Iterator[tuple[str, Fault]]:
    """Yield the names of stacks, each with a fault that it has to survive."""
    for stack in STACKS:
        for fault in FAULTS:
            if stack in (fault.on if all_of_them else fault.usually_on):
                yield stack, fault

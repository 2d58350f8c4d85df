"""What happens to the clock on the wall."""

import time
from typing import Final

from faults.kinds.fault import Fault, Scene

__all__ = ["FAULTS"]

_HOUR: Final = 3600


def _ahead(scene: Scene) -> None:
    _jump(scene, _HOUR)


def _back(scene: Scene) -> None:
    _jump(scene, -_HOUR)


def _jump(scene: Scene, seconds: int) -> None:
    """Jump, go on for a while, lose the process that holds leases of that time, and jump back."""
    scene.clock.jump(seconds)
    time.sleep(3)
    if scene.stack.workers:
        scene.site.kill_worker(0, tree=True)
    scene.site.kill_server(0, tree=True)
    time.sleep(7)
    scene.clock.jump(0)


_ALL: Final = ("sqlite", "postgresql", "celery_rabbitmq", "celery_redis", "rq_redis")
_CLOCK: Final = frozenset({"clock"})

FAULTS: Final = (
    Fault(
        name="clock_ahead",
        text="clock of one process each jumps an hour ahead, which then is killed, and back",
        happen=_ahead,
        on=_ALL,
        needs=_CLOCK,
    ),
    Fault(
        name="clock_back",
        text="clock of one process each jumps an hour back, which then is killed, and ahead",
        happen=_back,
        on=_ALL,
        needs=_CLOCK,
    ),
)

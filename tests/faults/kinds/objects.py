"""What happens to an object store while large files are uploaded to it."""

import time
from typing import Final

from faults.kinds.fault import Fault, Scene

__all__ = ["FAULTS"]


def _killed(scene: Scene) -> None:
    for _ in range(2):
        scene.objects.kill()
        time.sleep(1)
        scene.objects.start()
        time.sleep(1)


def _stopped(scene: Scene) -> None:
    scene.objects.pause()
    time.sleep(4)
    scene.objects.resume()


def _cut(scene: Scene) -> None:
    # Again and again, so that it hits uploads at their beginning, in the middle and at the end.
    for number in range(8):
        scene.way_to_objects.cut()
        time.sleep(0.15 * (number % 3))
        scene.way_to_objects.restore()
        time.sleep(0.3)


_ON: Final = ("postgresql", "celery_rabbitmq")
_OBJECTS: Final = frozenset({"objects"})

FAULTS: Final = (
    Fault(
        name="objects_killed",
        text="object store killed (SIGKILL) twice during uploads",
        happen=_killed,
        on=_ON,
        needs=_OBJECTS,
        large_files=True,
    ),
    Fault(
        name="objects_stopped",
        text="object store stopped (SIGSTOP) for 4 s during uploads",
        happen=_stopped,
        on=_ON[:1],
        needs=_OBJECTS,
        large_files=True,
    ),
    Fault(
        name="objects_cut",
        text="network to the object store cut eight times during uploads",
        happen=_cut,
        on=_ON[:1],
        usually_on=_ON[:1],
        needs=_OBJECTS,
        large_files=True,
    ),
)

"""What happens to a RabbitMQ or a Redis."""

import time
from typing import Final

from faults.kinds.fault import Fault, Scene

__all__ = ["FAULTS"]


def _killed(scene: Scene) -> None:
    scene.broker.kill()
    time.sleep(2)
    scene.broker.start()


def _wiped(scene: Scene) -> None:
    scene.broker.kill()
    scene.broker.wipe()
    time.sleep(2)
    scene.broker.start()


def _stopped(scene: Scene) -> None:
    scene.broker.pause()
    time.sleep(6)
    scene.broker.resume()


_ALL: Final = ("celery_rabbitmq", "celery_redis", "rq_redis")

FAULTS: Final = (
    Fault(
        name="broker_killed",
        text="broker killed (SIGKILL), back with its data after 2 s",
        happen=_killed,
        on=_ALL,
        unnoticed=True,
    ),
    Fault(
        name="broker_wiped",
        text="broker killed (SIGKILL), back empty after 2 s",
        happen=_wiped,
        on=_ALL,
        usually_on=("celery_rabbitmq",),
        unnoticed=True,
    ),
    Fault(
        name="broker_stopped",
        text="broker stopped (SIGSTOP) for 6 s",
        happen=_stopped,
        on=_ALL,
        unnoticed=True,
    ),
)

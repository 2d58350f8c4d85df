"""What happens to the processes of Depot itself."""

import time
from typing import Final

from faults.kinds.fault import Fault, Scene

__all__ = ["FAULTS"]


def _servers_killed(scene: Scene) -> None:
    for number in range(4):
        time.sleep(0.7)
        scene.site.kill_server(number % 2, tree=number > 1)


def _workers_killed(scene: Scene) -> None:
    for number in range(6):
        time.sleep(0.7)
        # Now a process alone, which its children have to notice, now all of them at once.
        scene.site.kill_worker(number % 2, tree=number % 3 > 0)


def _everything_killed(scene: Scene) -> None:
    if scene.stack.database == "postgresql":
        scene.postgres.kill()
    if scene.stack.broker is not None:
        scene.broker.kill()
    scene.site.kill_everything(then=lambda: _start_what_it_needs(scene))


def _start_what_it_needs(scene: Scene) -> None:
    if scene.stack.database == "postgresql":
        scene.postgres.start()
    if scene.stack.broker is not None:
        scene.broker.start()


_ALL: Final = ("sqlite", "postgresql", "celery_rabbitmq", "celery_redis", "rq_redis")

FAULTS: Final = (
    Fault(
        name="servers_killed",
        text="servers killed (SIGKILL) four times",
        happen=_servers_killed,
        on=_ALL,
        usually_on=("sqlite",),
    ),
    Fault(
        name="workers_killed",
        text="workers killed (SIGKILL) six times",
        happen=_workers_killed,
        on=_ALL[1:],
    ),
    Fault(
        name="everything_killed",
        text="everything killed (SIGKILL) at once",
        happen=_everything_killed,
        on=_ALL,
        hurts_database=True,
    ),
)

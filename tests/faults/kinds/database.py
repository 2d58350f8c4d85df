"""What happens to a PostgreSQL, and to the network between it and the service."""

import time
from contextlib import suppress
from typing import Final

import psycopg

from faults.kinds.fault import Fault, Scene

__all__ = ["FAULTS"]


def _killed(scene: Scene) -> None:
    scene.postgres.kill()
    time.sleep(2)
    scene.postgres.start()


def _restarted(scene: Scene) -> None:
    scene.postgres.stop()
    scene.postgres.start()


def _stopped(scene: Scene) -> None:
    scene.postgres.pause()
    time.sleep(6)
    scene.postgres.resume()


def _full(scene: Scene) -> None:
    # Those that are held are cut first, so that all have to connect anew and cannot.
    with psycopg.connect(scene.postgres.url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname IS NOT NULL"
        )
        held = []
        with suppress(psycopg.OperationalError):
            while True:
                held.append(psycopg.connect(scene.postgres.url))
        time.sleep(4)
        for connection in held:
            connection.close()


def _cut(scene: Scene) -> None:
    scene.network.cut()
    time.sleep(3)
    scene.network.restore()


def _silent(scene: Scene) -> None:
    scene.network.hang()
    time.sleep(6)
    scene.network.restore()


def _promoted(scene: Scene) -> None:
    """The old primary refuses writes, then dies; its standby becomes the primary."""
    with psycopg.connect(scene.postgres.url, autocommit=True) as admin:
        admin.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        admin.execute("SELECT pg_reload_conf()")
    time.sleep(1.5)
    scene.postgres.kill()
    time.sleep(1)
    with psycopg.connect(scene.standby.url, autocommit=True) as admin:
        admin.execute("SELECT pg_promote()")


_ALL: Final = ("postgresql", "celery_rabbitmq", "celery_redis", "rq_redis")
_ONE: Final = ("postgresql",)

FAULTS: Final = (
    Fault(
        name="database_killed",
        text="PostgreSQL killed (SIGKILL), away for 2 s",
        happen=_killed,
        on=_ALL,
        usually_on=_ONE,
        hurts_database=True,
    ),
    Fault(
        name="database_restarted",
        text="PostgreSQL restarted",
        happen=_restarted,
        on=_ALL,
        hurts_database=True,
    ),
    Fault(
        name="database_stopped",
        text="PostgreSQL stopped (SIGSTOP) for 6 s",
        happen=_stopped,
        on=_ALL,
        hurts_database=True,
    ),
    Fault(
        name="database_full",
        text="PostgreSQL out of connections for 4 s",
        happen=_full,
        on=_ALL,
        hurts_database=True,
    ),
    Fault(
        name="failover",
        text="primary fenced off, then killed; its synchronous standby promoted (asyncpg)",
        happen=_promoted,
        on=_ALL,
        usually_on=_ONE,
        hurts_database=True,
        needs=frozenset({"failover"}),
    ),
    Fault(
        name="failover_psycopg",
        text="primary fenced off, then killed; its synchronous standby promoted (psycopg)",
        happen=_promoted,
        on=_ONE,
        usually_on=_ONE,
        hurts_database=True,
        needs=frozenset({"failover", "psycopg"}),
    ),
    Fault(
        name="network_cut",
        text="network to PostgreSQL cut for 3 s",
        happen=_cut,
        on=_ALL,
        hurts_database=True,
    ),
    Fault(
        name="network_silent",
        text="network to PostgreSQL silent for 6 s",
        happen=_silent,
        on=_ONE,
        hurts_database=True,
    ),
)

"""What happens to a PostgreSQL, and to the network between it and the service."""

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

import psycopg

from faults.kinds.fault import Fault, Scene
from support.postgres import PrivatePostgres

__all__ = ["FAULTS"]


def _away(
    begin: Callable[[Scene], None], end: Callable[[Scene], None], *, seconds: float
) -> Callable[[Scene], None]:
    """Let something begin, last, and be over."""

    def happen(scene: Scene) -> None:
        begin(scene)
        time.sleep(seconds)
        end(scene)

    return happen


def _start(scene: Scene) -> None:
    scene.postgres.start()


def _restore(scene: Scene) -> None:
    scene.network.restore()


def _admin(server: PrivatePostgres) -> psycopg.Connection:
    return psycopg.connect(server.url, autocommit=True)


def _full(scene: Scene) -> None:
    # Those that are held are cut first, so that all have to connect anew and cannot.
    with _admin(scene.postgres) as admin:
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


def _promoted(scene: Scene) -> None:
    """The old primary refuses writes, then dies; its standby becomes the primary."""
    with _admin(scene.postgres) as admin:
        admin.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        admin.execute("SELECT pg_reload_conf()")
    time.sleep(1.5)
    scene.postgres.kill()
    time.sleep(1)
    with _admin(scene.standby) as admin:
        admin.execute("SELECT pg_promote()")


_ALL: Final = ("postgresql", "celery_rabbitmq", "celery_redis", "rq_redis")
_ONE: Final = ("postgresql",)

_fault = partial(Fault, hurts_database=True)

FAULTS: Final = (
    _fault(
        name="database_killed",
        text="PostgreSQL killed (SIGKILL), away for 2 s",
        happen=_away(lambda scene: scene.postgres.kill(), _start, seconds=2),
        on=_ALL,
        usually_on=_ONE,
    ),
    _fault(
        name="database_restarted",
        text="PostgreSQL restarted",
        happen=_away(lambda scene: scene.postgres.stop(), _start, seconds=0),
        on=_ALL,
    ),
    _fault(
        name="database_stopped",
        text="PostgreSQL stopped (SIGSTOP) for 6 s",
        happen=_away(
            lambda scene: scene.postgres.pause(), lambda scene: scene.postgres.resume(), seconds=6
        ),
        on=_ALL,
    ),
    _fault(
        name="database_full",
        text="PostgreSQL out of connections for 4 s",
        happen=_full,
        on=_ALL,
    ),
    _fault(
        name="failover",
        text="primary fenced off, then killed; its synchronous standby promoted (asyncpg)",
        happen=_promoted,
        on=_ALL,
        usually_on=_ONE,
        needs=frozenset({"failover"}),
    ),
    _fault(
        name="failover_psycopg",
        text="primary fenced off, then killed; its synchronous standby promoted (psycopg)",
        happen=_promoted,
        on=_ONE,
        usually_on=_ONE,
        needs=frozenset({"failover", "psycopg"}),
    ),
    _fault(
        name="network_cut",
        text="network to PostgreSQL cut for 3 s",
        happen=_away(lambda scene: scene.network.cut(), _restore, seconds=3),
        on=_ALL,
    ),
    _fault(
        name="network_silent",
        text="network to PostgreSQL silent for 6 s",
        happen=_away(lambda scene: scene.network.hang(), _restore, seconds=6),
        on=_ONE,
    ),
)

"""The peers: what they are called, where they run, and with which settings."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from _jobs.common import Bench, version


@dataclass(frozen=True)
class Peer:
    """One library on one database."""

    module: str
    label: str
    database: str
    distribution: str
    settings: str
    crash_settings: str = ""
    quiet: float = 5
    """Seconds without an effect after which no more is expected of it."""
    python: str = sys.executable
    options: Mapping[str, str] = field(default_factory=dict)
    """What its functions read from the environment."""

    @property
    def name(self) -> str:
        where = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "redis": "Redis"}
        return f"{self.label}, {where[self.database]}" if self.database else self.label

    def version(self) -> str | None:
        if self.python == sys.executable:
            return version(self.distribution)
        asked = f"import importlib.metadata as m; print(m.version({self.distribution!r}))"
        answer = subprocess.run([self.python, "-c", asked], capture_output=True, check=False)
        return answer.stdout.decode().strip() or None

    def missing(self, bench: Bench) -> str | None:
        """Say why it cannot be measured here, if so."""
        if self.version() is None:
            return "not installed"
        if self.database == "postgresql" and not bench.has_postgresql:
            return "no PostgreSQL server (PG_URL)"
        if self.database == "redis" and not bench.has_redis:
            return "no Redis server (REDIS_URL)"
        return None


def ours(database: str) -> Peer:
    return Peer(
        "peers.roadworthy",
        "**roadworthy.jobs**",
        database,
        "roadworthy",
        settings="its defaults",
        crash_settings="its defaults (lease 15 s)",
        quiet=18,
    )


def dbos_on(database: str) -> Peer:
    return Peer(
        "peers.dbos",
        "DBOS",
        database,
        "dbos",
        settings="queue polled every 10 ms, no concurrency limit, coroutine workflows",
        crash_settings="enqueue_in_transaction, effects in a datasource transaction, polled "
        "every 100 ms",
        # SQLite's writers wait up to 30 s for a lock there: what is late is not lost.
        quiet=33 if database == "sqlite" else 6,
    )


PROCRASTINATE = Peer(
    "peers.procrastinate",
    "procrastinate",
    "postgresql",
    "procrastinate",
    settings="concurrency 50, pool of 20, finished jobs deleted",
    crash_settings="enqueued on the transaction's connection, heartbeat 1 s, stalled after 3 s, "
    "stalled jobs retried each second as its guide shows",
    quiet=8,
)
PGQUEUER = Peer(
    "peers.pgqueuer",
    "pgqueuer",
    "postgresql",
    "pgqueuer",
    settings="its defaults (batches of 10), asyncpg, uvloop",
    options={"BATCH": "10"},
)
PGQUEUER_100 = replace(
    PGQUEUER,
    label="pgqueuer, batches of 100",
    settings="batches of 100, asyncpg, uvloop",
    options={"BATCH": "100"},
)
OBAN = Peer(
    "peers.oban",
    "Oban for Python",
    "postgresql",
    "oban",
    settings="queue limit 500; it needs Python 3.12, OBAN_PYTHON names one that has it",
    python=os.environ.get("OBAN_PYTHON", sys.executable),
)
HUEY = Peer(
    "peers.huey",
    "huey",
    "sqlite",
    "huey",
    settings="1 worker thread, no results kept; a job is deleted before it runs",
)
CELERY = Peer(
    "peers.celery",
    "Celery",
    "redis",
    "celery",
    settings="solo pool, prefetch 100, results ignored, early acknowledgement (its default)",
)
TASKFLOW = Peer(
    "peers.taskflow",
    "fastapi-taskflow",
    "sqlite",
    "fastapi-taskflow",
    settings="SQLite backend, backlog restored from its pending table, no concurrency limit",
    crash_settings="persist, requeue_on_interrupt, requeue_pending, snapshot each 0.5 s",
    quiet=5,
)
BACKGROUND = Peer(
    "peers.background",
    "BackgroundTasks",
    "sqlite",
    "fastapi",
    settings="",
    crash_settings="the handler commits before it returns",
    quiet=2,
)

# The two that take longest first: two run at a time.
CRASH = [
    ours("sqlite"),
    ours("postgresql"),
    dbos_on("sqlite"),
    dbos_on("postgresql"),
    PROCRASTINATE,
    TASKFLOW,
    BACKGROUND,
]
SPEED = [
    ours("sqlite"),
    dbos_on("sqlite"),
    TASKFLOW,
    HUEY,
    ours("postgresql"),
    PGQUEUER,
    PGQUEUER_100,
    OBAN,
    PROCRASTINATE,
    dbos_on("postgresql"),
    CELERY,
]

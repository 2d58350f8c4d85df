"""What Depot runs on: a stack is a row of this table."""

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["EMBEDDED", "STACKS", "Stack"]


@dataclass(frozen=True)
class Stack:
    """One way of running Depot, and how many processes of each kind."""

    name: str
    """As the table of results has it."""
    database: Literal["sqlite", "postgresql"]
    engine: Literal["embedded", "celery", "rq"] = "embedded"
    broker: Literal["rabbitmq", "redis"] | None = None
    servers: int = 2
    workers: int = 2
    """Without any, the servers run the jobs."""


STACKS: Final = {
    "sqlite": Stack("SQLite", "sqlite", workers=0),
    "postgresql": Stack("PostgreSQL", "postgresql"),
    "celery_rabbitmq": Stack("PostgreSQL, Celery on RabbitMQ", "postgresql", "celery", "rabbitmq"),
    "celery_redis": Stack("PostgreSQL, Celery on Redis", "postgresql", "celery", "redis"),
    "rq_redis": Stack("PostgreSQL, RQ", "postgresql", "rq", "redis"),
}

EMBEDDED: Final = ("sqlite", "postgresql")

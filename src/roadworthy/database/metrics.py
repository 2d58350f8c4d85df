"""What is told of the database: metrics, to OpenTelemetry, which FastAPI brings.

Pools have the names that its conventions for databases give them.
"""

from collections import defaultdict
from collections.abc import Iterable
from time import perf_counter
from typing import Any, Final, Literal, NamedTuple, Protocol, cast
from weakref import WeakSet

from opentelemetry.metrics import CallbackOptions, Observation
from sqlalchemy import exc
from sqlalchemy.pool import AsyncAdaptedQueuePool

from roadworthy._instruments import counter, histogram, observe

__all__ = [
    "Pool",
    "PoolState",
    "Watched",
    "ended",
    "forget",
    "retried",
    "timed_out",
    "waited",
    "watch",
]

_NAME: Final = "roadworthy.database"
_CONNECTION: Final = "db.client.connection"
_POOL: Final = f"{_CONNECTION}.pool.name"
_SECONDS: Final = (0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
"""Edges of the histogram: most waits are none, and the longest is `max_wait`."""
_WAIT: Final = "How long it took to get a connection, or the writer's turn."


class PoolState(NamedTuple):
    """How many connections a pool has, and how many want one."""

    name: str
    used: int
    idle: int
    size: int
    pending: int


class Watched(Protocol):
    """What has pools."""

    def pools(self) -> Iterable[PoolState]:
        """Return how its pools are."""
        ...


class Pool(AsyncAdaptedQueuePool):
    """A pool that tells how long one waits for a connection."""

    __module__ = AsyncAdaptedQueuePool.__module__
    # Its log is named after that: who sets the level of "sqlalchemy.pool" means this one, too.

    label = "main"
    """Its name: what is told of it is told under this."""
    pending = 0
    """Who wants a connection and has none yet."""

    def connect(self) -> Any:
        """Return a connection, when there is one."""
        began = perf_counter()
        self.pending += 1
        try:
            connection = super().connect()
        except exc.TimeoutError:
            timed_out(self.label)
            raise
        finally:
            self.pending -= 1
        waited(self.label, perf_counter() - began)
        return connection

    def recreate(self) -> "Pool":
        """Return a pool like this one, as SQLAlchemy does when it has closed one."""
        new = cast("Pool", super().recreate())
        new.label = self.label
        return new

    def state(self) -> PoolState:
        """Return how it is now."""
        used, idle = self.checkedout(), self.checkedin()
        return PoolState(self.label, used, idle, self.size(), self.pending)


def ended(outcome: Literal["commit", "rollback"]) -> None:
    """Count a transaction that has ended."""
    counter(_NAME, f"{_NAME}.transactions", "{transaction}", "Transactions that ended.").add(
        1, _OUTCOMES[outcome]
    )


_OUTCOMES: Final = {name: {"outcome": name} for name in ("commit", "rollback")}


def retried(error: BaseException) -> None:
    """Count a request that runs again, after what the database refused."""
    counter(_NAME, f"{_NAME}.retries", "{retry}", "Requests that ran again.").add(
        1, {"error.type": type(error).__name__}
    )


def waited(pool: str, seconds: float) -> None:
    """Record how long it took to get a connection."""
    histogram(_NAME, f"{_CONNECTION}.wait_time", _SECONDS, _WAIT).record(seconds, {_POOL: pool})


def timed_out(pool: str) -> None:
    """Count who has waited for a connection in vain."""
    counter(
        _NAME, f"{_CONNECTION}.timeouts", "{timeout}", "Who waited for a connection in vain."
    ).add(1, {_POOL: pool})


def watch(database: Watched) -> None:
    """Tell of the pools of `database`, until `forget`."""
    _watched.add(database)
    _observe_pools()


def forget(database: Watched) -> None:
    """Tell no more of its pools."""
    _watched.discard(database)


_watched: WeakSet[Any] = WeakSet()


def _observe_pools() -> None:
    for name, unit, description, callback in (
        ("count", "{connection}", "Connections of a pool, used or idle.", _count),
        ("max", "{connection}", "Connections that a pool may have.", _max),
        ("pending_requests", "{request}", "Who waits for a connection.", _pending),
    ):
        observe(_NAME, f"{_CONNECTION}.{name}", unit, description, callback)


def _count(_: CallbackOptions) -> Iterable[Observation]:
    for pool in _pools():
        for state, count in (("used", pool.used), ("idle", pool.idle)):
            yield Observation(count, {_POOL: pool.name, f"{_CONNECTION}.state": state})


def _max(_: CallbackOptions) -> Iterable[Observation]:
    return [Observation(pool.size, {_POOL: pool.name}) for pool in _pools()]


def _pending(_: CallbackOptions) -> Iterable[Observation]:
    return [Observation(pool.pending, {_POOL: pool.name}) for pool in _pools()]


def _pools() -> Iterable[PoolState]:
    """Return the pools by name: those of two databases are one to who looks."""
    found: defaultdict[str, list[PoolState]] = defaultdict(list)
    for database in list(_watched):
        for pool in database.pools():
            found[pool.name].append(pool)
    return [
        PoolState(name, *map(sum, zip(*(pool[1:] for pool in pools), strict=True)))
        for name, pools in found.items()
    ]

"""The OpenTelemetry metrics of the database.

The metrics of pools have the names of OpenTelemetry's conventions for databases.
"""

from collections import defaultdict
from collections.abc import Iterable
from time import perf_counter
from typing import Any, Final, Literal, NamedTuple, Protocol, cast
from weakref import WeakSet

from opentelemetry.metrics import CallbackOptions, Observation
from sqlalchemy import exc
from sqlalchemy.pool import AsyncAdaptedQueuePool

from roadworthy._metric_instruments import counter, histogram, observe

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

_METER: Final = "roadworthy.database"

_TRANSACTIONS: Final = "roadworthy.database.transactions"
_RETRIES: Final = "roadworthy.database.retries"
_WAIT_TIME: Final = "db.client.connection.wait_time"
_TIMEOUTS: Final = "db.client.connection.timeouts"
_COUNT: Final = "db.client.connection.count"
_MAX: Final = "db.client.connection.max"
_PENDING: Final = "db.client.connection.pending_requests"

_POOL: Final = "db.client.connection.pool.name"
_STATE: Final = "db.client.connection.state"
_SECONDS: Final = (0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
"""Boundaries of the histogram: most waits are zero, and the longest is `max_wait`."""


class PoolState(NamedTuple):
    """The connections of a pool, and how many units wait for one."""

    name: str
    used: int
    idle: int
    size: int
    pending: int


class Watched(Protocol):
    """An object that has pools."""

    def pools(self) -> Iterable[PoolState]:
        """Return the state of each pool."""
        ...


class Pool(AsyncAdaptedQueuePool):
    """A pool that measures how long units wait for a connection."""

    __module__ = AsyncAdaptedQueuePool.__module__
    # Its log is named after that: the level of "sqlalchemy.pool" is meant for this pool, too.

    label = "main"
    """The name of the pool in metrics."""
    pending = 0
    """How many units wait for a connection."""

    def connect(self) -> Any:
        """Return a connection, when one is free."""
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
        """Return a pool like this one, for SQLAlchemy to use after closing this one."""
        new = cast("Pool", super().recreate())
        new.label = self.label
        return new

    def state(self) -> PoolState:
        """Return the state of the pool."""
        used, idle = self.checkedout(), self.checkedin()
        return PoolState(self.label, used, idle, self.size(), self.pending)


def ended(outcome: Literal["commit", "rollback"]) -> None:
    """Count a transaction that has ended."""
    counter(_METER, _TRANSACTIONS, "{transaction}", "Transactions that ended.").add(
        1, _OUTCOMES[outcome]
    )


_OUTCOMES: Final = {name: {"outcome": name} for name in ("commit", "rollback")}


def retried(error: BaseException) -> None:
    """Count a request that runs again after an error of the database."""
    counter(_METER, _RETRIES, "{retry}", "Requests that ran again.").add(
        1, {"error.type": type(error).__name__}
    )


def waited(pool: str, seconds: float) -> None:
    """Record how long a unit waited for a connection."""
    text = "How long it took to get a connection, or the writer's turn."
    histogram(_METER, _WAIT_TIME, _SECONDS, text).record(seconds, {_POOL: pool})


def timed_out(pool: str) -> None:
    """Count a wait that ended without a connection."""
    text = "Who waited for a connection in vain."
    counter(_METER, _TIMEOUTS, "{timeout}", text).add(1, {_POOL: pool})


def watch(database: Watched) -> None:
    """Report the pools of a database, until `forget`."""
    _watched.add(database)
    _observe_pools()


def forget(database: Watched) -> None:
    """Stop reporting the pools of a database."""
    _watched.discard(database)


_watched: WeakSet[Any] = WeakSet()


def _observe_pools() -> None:
    for name, unit, description, callback in (
        (_COUNT, "{connection}", "Connections of a pool, used or idle.", _count),
        (_MAX, "{connection}", "Connections that a pool may have.", _max),
        (_PENDING, "{request}", "Who waits for a connection.", _pending),
    ):
        observe(_METER, name, unit, description, callback)


def _count(_: CallbackOptions) -> Iterable[Observation]:
    for pool in _pools():
        for state, count in (("used", pool.used), ("idle", pool.idle)):
            yield Observation(count, {_POOL: pool.name, _STATE: state})


def _max(_: CallbackOptions) -> Iterable[Observation]:
    return [Observation(pool.size, {_POOL: pool.name}) for pool in _pools()]


def _pending(_: CallbackOptions) -> Iterable[Observation]:
    return [Observation(pool.pending, {_POOL: pool.name}) for pool in _pools()]


def _pools() -> Iterable[PoolState]:
    """Return the pools by name: those of two databases with one name are added up."""
    found: defaultdict[str, list[PoolState]] = defaultdict(list)
    for database in list(_watched):
        for pool in database.pools():
            found[pool.name].append(pool)
    return [
        PoolState(name, *map(sum, zip(*(pool[1:] for pool in pools), strict=True)))
        for name, pools in found.items()
    ]

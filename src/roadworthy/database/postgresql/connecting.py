"""Failed connections to PostgreSQL: one exception and log line for all drivers.

Whatever fails before a session has begun says that nobody can log in, and that no code is
wrong. It becomes the driver's `OperationalError`, whose text says where and why, and never
has the password.
"""

import logging
from collections.abc import Callable
from typing import Any, Final, TypeVar

from sqlalchemy import NullPool, exc

from roadworthy.database import metrics

__all__ = ["LonePool", "WaitingPool", "reason"]

_log = logging.getLogger("roadworthy.database")
_T = TypeVar("_T")

_PREFIX: Final = "cannot connect: "


def reason(error: BaseException) -> str:
    """Return in one line why the database cannot be used, for an operator.

    `error` is what was raised: a `ServiceUnavailable` of a unit of work, an error of
    SQLAlchemy, or of a driver. The text may name hosts, databases, roles and tables; it has
    no password and no parameters of statements.
    """
    seen: list[BaseException] = []
    said: BaseException | None = error
    while said is not None and said not in seen:
        seen.append(said)
        said = said.__cause__
    for said in seen:
        if isinstance(said, exc.DBAPIError) and said.orig is not None:
            return _line(said.orig)
    return _line(seen[-1])


class WaitingPool(metrics.Pool):
    """A pool that logs why there is no connection."""

    __module__ = metrics.Pool.__module__

    def connect(self) -> Any:
        """Return a connection, when one is free."""
        return _connected(self, super().connect)


class LonePool(NullPool):
    """A pool that keeps no connection, and logs why there is none."""

    __module__ = NullPool.__module__

    def connect(self) -> Any:
        """Open and return a new connection."""
        return _connected(self, super().connect)


def _connected(pool: Any, connect: Callable[[], _T]) -> _T:
    dialect: Any = pool._dialect  # noqa: SLF001 - a pool has no public way to its dialect
    try:
        connection = connect()
    except _failures(dialect) as error:
        told = _line(error).removeprefix(_PREFIX)
        if not getattr(pool, "is_away", False):
            _log.warning("Cannot connect to the database: %s", told)
        pool.is_away = True
        raise dialect.loaded_dbapi.OperationalError(f"{_PREFIX}{told}") from error
    pool.is_away = False
    return connection


def _failures(dialect: Any) -> tuple[type[BaseException], ...]:
    """Return the exceptions of a failed connection that are no mistake of the program.

    SQLAlchemy sets each connection up on the driver's own, whose errors it does not translate.
    """
    if dialect.name != "postgresql":
        return ()
    module: Any = dialect.loaded_dbapi
    common = (module.Error, OSError, UnicodeError)  # a host name that is none is a UnicodeError
    if dialect.driver != "asyncpg":
        return common
    driver = module.asyncpg
    return (*common, driver.PostgresError, driver.InterfaceError, driver.InternalClientError)


def _line(error: BaseException) -> str:
    """Return the text of an exception in one line."""
    lines = [line.strip(" -\t") for line in str(error).splitlines()]
    return "; ".join(line for line in lines if line).rstrip(". ") or type(error).__name__

"""`Recorder`: record the outcome of a job, however long the database is away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from roadworthy.jobs.table.ledger import Claimed
from roadworthy.jobs.worker import logs

__all__ = ["Move", "Recorder", "may_pass"]

Move: TypeAlias = Callable[[AsyncConnection], Awaitable[object]]
"""Writes one outcome of a job, in the transaction of the connection."""

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
_NEVER_PASS: Final = (
    exc.StatementError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    NotImplementedError,
    TypeError,
    ValueError,
)
_BY_VALUE: Final = ("22", "23")
"""Classes of SQLSTATE: data exceptions, and violated constraints."""


class Recorder:
    """Record outcomes; while the database is away, try again until it is back."""

    def __init__(self, engine: Callable[[], AsyncEngine]) -> None:
        self._engine = engine

    async def record(self, job: Claimed, move: Move, *, last: Move | None = None) -> None:
        """Record an outcome by `move`, or by `last` if the values of `move` are refused.

        Refused values would be refused for ever, while the job kept its slot and its lease.
        `last` writes no values of the application.
        """
        pause = _FIRST_PAUSE
        while True:
            try:
                async with self._engine().begin() as connection:
                    await move(connection)
            except Exception as error:  # any error of the driver: unrecorded, it runs twice
                if last is not None and not may_pass(error):
                    logs.recorded_in_other_words(job, error)
                    move, last = last, None
                    continue
                logs.not_recorded(error, pause, again=pause > _FIRST_PAUSE)
            else:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)


def may_pass(error: BaseException) -> bool:
    """Return whether the same write may succeed at another time.

    It may not if a value is at fault, or our own code.
    """
    if isinstance(error, exc.DBAPIError):
        state = str(getattr(error.orig, "sqlstate", None) or "")
        by_value = state.startswith(_BY_VALUE) or isinstance(
            error, exc.DataError | exc.IntegrityError
        )
        return not by_value and not isinstance(_cause(error), ValueError)
    return not isinstance(error, _NEVER_PASS)


def _cause(error: exc.DBAPIError) -> BaseException | None:
    # asyncpg refuses values before they are sent, and SQLAlchemy wraps its error.
    return None if error.orig is None else error.orig.__cause__ or error.orig

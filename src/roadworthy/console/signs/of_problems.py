"""The signs of the problem log: what failed in the last minutes, and whether it is kept at all."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from roadworthy import problem_log
from roadworthy.console.formats import number
from roadworthy.console.signs.sign import Sign

__all__ = ["RECENT", "questions"]

RECENT: Final = timedelta(minutes=10)
"""What is younger speaks about now."""
_LOOKED_AT: Final = 5000
_NAMED: Final = 5
_SERVER_ERROR: Final = 500


def questions() -> list[tuple[str, Callable[[AsyncConnection], Awaitable[list[Sign]]]]]:
    """Return what is asked, by what it is about."""
    return [("server errors", _failures)]


async def _failures(connection: AsyncConnection) -> list[Sign]:
    """Tell the errors of the last minutes by code and route."""
    for table in problem_log.metadata.sorted_tables:
        await connection.execute(select(table).limit(0))  # are all columns there?
    found = await problem_log.counted(
        connection, since=RECENT, status_from=_SERVER_ERROR, newest=_LOOKED_AT
    )
    if not found:
        return [Sign("server errors", "good", "none in the last 10 minutes", "problems")]
    return [
        Sign(
            one.code,
            "wait",
            f"{number(one.problems)} in the last 10 minutes: {one.status} of {one.route}",
            "problems",
            (("code", one.code), ("route", one.route)),
        )
        for one in found[:_NAMED]
    ]

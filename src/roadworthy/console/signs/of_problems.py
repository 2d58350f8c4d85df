"""The signs of the problem log: what failed in the last minutes, and whether it is kept."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import CompoundSelect, MetaData, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from roadworthy import problem_log
from roadworthy.console.formats import number
from roadworthy.console.signs.sign import Sign

__all__ = ["RECENT", "naming_all", "questions"]

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
    await connection.execute(naming_all(problem_log.metadata))
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


def naming_all(metadata: MetaData) -> CompoundSelect[Any]:
    """Return a statement that reads nothing, and fails where a table or column is lacking."""
    empty = (select(table).limit(0).subquery() for table in metadata.sorted_tables)
    return union_all(*(select(literal(1)).select_from(nothing) for nothing in empty))

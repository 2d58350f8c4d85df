"""`gather`: ask each part for its signs; what cannot be read is a sign itself.

Each question of a database has a deadline of its own, and one that fails leaves the others
alone: on the day when the database is away, this is the page that says so.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from time import monotonic
from typing import Final, TypeAlias

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from roadworthy.console.parts import Parts
from roadworthy.console.reading import reading
from roadworthy.console.signs import of_jobs, of_problems, of_process
from roadworthy.console.signs.sign import LEVELS, Sign
from roadworthy.problems import Problem

__all__ = ["gather"]

_ALL: Final = 3.0
"""Seconds for all questions of one database."""
_EACH: Final = 1.0
"""Seconds for one question."""

Ask: TypeAlias = Callable[[AsyncConnection], Awaitable[list[Sign]]]


@dataclass(frozen=True, slots=True)
class _Question:
    about: str
    ask: Ask


async def gather(parts: Parts) -> list[Sign]:
    """Return all signs of the parts that a service has, the worst first, within four seconds."""
    asked = await asyncio.gather(
        *(_ask_database(database, questions) for database, questions in _questions(parts))
    )
    found = [*of_process.signs(parts), *chain.from_iterable(asked)]
    return sorted(found, key=lambda sign: LEVELS.index(sign.level))


def _questions(parts: Parts) -> Iterable[tuple[object, list[_Question]]]:
    """Return what is asked, by database: one connection is enough for each."""
    by_database: dict[int, tuple[object, list[_Question]]] = {}

    def add(database: object, *questions: _Question) -> None:
        by_database.setdefault(id(database), (database, []))[1].extend(questions)

    if parts.jobs is not None:
        named = of_jobs.questions(parts.jobs, parts.health)
        add(parts.jobs.work.units, *(_Question(*pair) for pair in named))
    if parts.problem_log is not None:
        add(parts.problem_log.database, *(_Question(*pair) for pair in of_problems.questions()))
    return by_database.values()


async def _ask_database(database: object, questions: list[_Question]) -> list[Sign]:
    found: list[Sign] = []
    left, end = list(questions), monotonic() + _ALL
    while left and (seconds := end - monotonic()) > 0:
        try:
            async with reading(database, seconds=seconds) as connection:
                await _ask_all(connection, left, found)
        except Exception as error:  # whatever a driver raises: the page says it
            return [*found, *(_unread(one, error) for one in left)]
    return [*found, *(_unread(one, TimeoutError()) for one in left)]


async def _ask_all(connection: AsyncConnection, left: list[_Question], found: list[Sign]) -> None:
    """Ask on one connection until one question takes too long: that ends the connection."""
    while left:
        question = left[0]
        try:
            async with asyncio.timeout(_EACH):
                answers = await question.ask(connection)
        except TimeoutError as error:
            found.append(_unread(left.pop(0), error))
            await connection.invalidate()
            return
        except SQLAlchemyError as error:
            if isinstance(error, DBAPIError) and error.connection_invalidated:
                raise
            found.append(_unread(left.pop(0), error))
            await connection.rollback()
        else:
            left.pop(0)
            found += answers


def _unread(question: _Question, error: Exception) -> Sign:
    return Sign(question.about, "unknown", f"cannot be read: {_why(error)}")


def _why(error: Exception) -> str:
    """Return why in words that hold no SQL and no address."""
    if isinstance(error, TimeoutError):
        return "the database took too long"
    if isinstance(error, Problem):
        return "the database does not answer"
    return f"the database refused ({type(getattr(error, 'orig', None) or error).__name__})"

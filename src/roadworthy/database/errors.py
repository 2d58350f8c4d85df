"""Errors of the database as problems for clients, without values, SQL and DSNs.

| the database says                          | the client gets                     |
|--------------------------------------------|-------------------------------------|
| unique, exclusion or foreign key violation | 409 `Conflict`, with the columns    |
| not-null or check violation                | 422 `ValidationFailed`, likewise    |
| too long, out of range, not storable       | 422 `ValidationFailed`, likewise    |
| away, full of clients, locked, timed out   | 503 `ServiceUnavailable`            |
| this session cannot, another one may       | 503 likewise (see `sessions`)       |
| no room on the disk                        | 507 `InsufficientStorage`           |

Anything else (wrong SQL, a missing table) is a bug and stays one: 500.
"""

import logging
import re
import sqlite3
from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import exc
from sqlalchemy.orm.exc import StaleDataError

from roadworthy.database.postgresql.stale_sessions import is_stale
from roadworthy.problems import (
    Conflict,
    FieldError,
    InsufficientStorage,
    Problem,
    ServiceUnavailable,
    ValidationFailed,
)

__all__ = [
    "FAILURES",
    "StatementFailed",
    "UnitClosed",
    "is_stale_statement",
    "may_succeed_again",
    "problem_for",
]

_log = logging.getLogger("roadworthy.database")

FAILURES: Final = (Conflict, ValidationFailed, ServiceUnavailable, InsufficientStorage)
"""The problems that a unit of work can end with."""

_TEXT = {
    "unique": "This value is already taken.",
    "exclusion": "This value overlaps with another.",
    "foreign_key": "What this refers to does not exist, or something still refers to this.",
    "not_null": "A value is required.",
    "check": "This value is not allowed here.",
    "too_long": "This value is too long.",
    "out_of_range": "This value is out of range.",
    "not_storable": "This value cannot be stored.",
}

_CONFLICTS = {
    "23505": "unique",
    "23P01": "exclusion",
    "23503": "foreign_key",
    "23001": "foreign_key",
}
_REFUSALS = {
    "23502": "not_null",
    "23514": "check",
    "22001": "too_long",
    "54000": "too_long",
    "22003": "out_of_range",
    "22008": "out_of_range",
}
_AWAY = ("080", "53", "57", "55P03", "40", "25P03", "25P04")
"""Classes of SQLSTATE that pass: connection, resources, operator, lock, rollback, timeouts.

Not 08P01: the program and the server do not understand one another. Nor 54: its own limits.
"""

_AGAIN = ("40001", "40P01")
_DISK_FULL = "53100"

_SQLITE = {
    "UNIQUE constraint failed": "unique",
    "PRIMARY KEY must be unique": "unique",
    "FOREIGN KEY constraint failed": "foreign_key",
    "NOT NULL constraint failed": "not_null",
    "CHECK constraint failed": "check",
    "too big": "too_long",
}
_SQLITE_AWAY = ("locked", "interrupted", "unable to open", "disk i/o", "busy", "connection closed")
_SQLITE_FULL = "database or disk is full"


class UnitClosed(RuntimeError):
    """A session was used after its unit of work had ended."""

    def __init__(self, place: str) -> None:
        super().__init__(
            f"The unit of work opened by {place} has ended: it was committed before the "
            "response was sent. What runs later, as a stream or a background task does, opens a "
            "unit of its own: `async with db.begin() as tx: ...`, or `async with db.read()`, "
            "where db is `find(request, Database)`."
        )


class StatementFailed(RuntimeError):
    """A statement failed, its error was swallowed, and the unit was to be committed."""

    def __init__(self) -> None:
        super().__init__(
            "A statement of this transaction failed and its exception was caught, so what was "
            "done is not whole; nothing was committed. Where a failure is expected, put the "
            "statement into a savepoint: `async with tx.begin_nested(): ...` inside the `try`."
        )


def problem_for(error: BaseException) -> Problem | None:
    """Return the problem for an exception of the database, None if it is a bug."""
    if isinstance(error, exc.TimeoutError):
        return ServiceUnavailable()
    if isinstance(error, StaleDataError):
        return Conflict()
    if not isinstance(error, exc.DBAPIError):
        return None
    state = _sqlstate(error)
    problem = _by_state(error, state) if state else _without_state(error)
    if problem is None and error.connection_invalidated:
        return ServiceUnavailable()
    return problem


def may_succeed_again(error: BaseException) -> bool:
    """Return whether the whole transaction may succeed when it runs again."""
    if isinstance(error, StaleDataError):
        return True
    if not isinstance(error, exc.DBAPIError):
        return False
    return error.connection_invalidated or _sqlstate(error) in _AGAIN


def is_stale_statement(error: BaseException) -> bool:
    """Return whether a statement was prepared before the schema changed."""
    return isinstance(error, exc.DBAPIError) and error.orig is not None and is_stale(error.orig)


def _by_state(error: exc.DBAPIError, state: str) -> Problem | None:
    if state == _DISK_FULL:
        return _disk_full()
    if code := _CONFLICTS.get(state):
        return Conflict(errors=_fields(code, _columns_in_detail(error)))
    if code := _REFUSALS.get(state):
        return ValidationFailed(errors=_fields(code, _refused_columns(error, code)))
    if state.startswith("22"):
        return ValidationFailed(errors=_fields("not_storable", _argument_column(error)))
    return ServiceUnavailable() if state.startswith(_AWAY) else None


def _without_state(error: exc.DBAPIError) -> Problem | None:
    if isinstance(error.orig, sqlite3.Error) and (found := _by_text(error, str(error.orig))):
        return found
    # What asyncpg cannot encode is a ValueError: no server has seen it.
    if isinstance(error, exc.DataError) or isinstance(_cause(error), ValueError):
        return ValidationFailed(errors=_fields("not_storable", _argument_column(error)))
    return Conflict() if isinstance(error, exc.IntegrityError) else None


def _by_text(error: exc.DBAPIError, text: str) -> Problem | None:
    """Return the problem of an SQLite error by its text, as codes say less."""
    for words, code in _SQLITE.items():
        if words in text:
            return _refusal(error, code, text)
    if _SQLITE_FULL in text:
        return _disk_full()
    # Wrong SQL is operational too.
    away = isinstance(error, exc.OperationalError) and any(
        words in text.lower() for words in _SQLITE_AWAY
    )
    return ServiceUnavailable() if away else None


def _refusal(error: exc.DBAPIError, code: str, text: str) -> Problem:
    rule = text.partition(": ")[2]
    if code in {"unique", "foreign_key"}:
        return Conflict(errors=_fields(code, _columns_in_list(rule)))
    columns = _columns_in_list(rule) if code == "not_null" else _mentioned(error, rule)
    return ValidationFailed(errors=_fields(code, columns))


def _disk_full() -> Problem:
    _log.critical("The disk of the database is full.")
    return InsufficientStorage()


def _fields(code: str, columns: Iterable[str]) -> list[FieldError]:
    names = list(dict.fromkeys(columns))
    pointers = [f"/{name}" for name in names] or [""]
    return [FieldError(pointer=pointer, code=code, message=_TEXT[code]) for pointer in pointers]


def _sqlstate(error: exc.DBAPIError) -> str:
    state: object = getattr(error.orig, "sqlstate", None)
    return state if isinstance(state, str) else ""


def _refused_columns(error: exc.DBAPIError, code: str) -> list[str]:
    if column := _reported(error, "column_name"):
        return [column]
    if rule := _reported(error, "constraint_name"):  # of a check, or of an index
        return _mentioned(error, rule)
    return _argument_column(error)


def _columns_in_detail(error: exc.DBAPIError) -> list[str]:
    # "Key (a, b)=(1, 2) already exists.": the shape is the same in every language.
    detail = _reported(error, "detail") or _reported(error, "message_detail")
    found = re.search(r"\(([^()]*(?:\([^()]*\)[^()]*)*)\)=\(", detail)
    return _identifiers(found[1]) if found else []


def _columns_in_list(names: str) -> list[str]:
    # "table.a, table.b"; an index is told as "index 'name'", which names no column.
    if names.startswith("index "):
        return []
    return [name.rpartition(".")[2] for name in names.split(", ") if name]


def _mentioned(error: exc.DBAPIError, rule: str) -> list[str]:
    """Return the statement's columns that a constraint's name or text mentions."""
    columns = _statement_columns(error.statement or "")
    found = [c for c in columns if re.search(rf"(?<![^\W_]){re.escape(c)}(?![^\W_])", rule)]
    # `max_price` mentions `price` too: the longest name is meant.
    return [c for c in found if not any(c != other and c in other for other in found)]


def _statement_columns(statement: str) -> list[str]:
    if found := re.match(r'INSERT INTO [\w".]+ \(([^)]*)\)', statement, re.IGNORECASE):
        return _identifiers(found[1])
    if found := re.match(r'UPDATE [\w".]+ SET (.*)', statement, re.IGNORECASE | re.DOTALL):
        return list(dict.fromkeys(re.findall(r'"?(\w+)"?\s*=', found[1])))
    return []


def _argument_column(error: exc.DBAPIError) -> list[str]:
    """Return the column of the refused argument, if the driver names it."""
    found = re.search(r"query argument (\$\d+)", str(error.orig))
    statement = error.statement or ""
    if found is None:
        return []
    place = re.escape(found[1]) + r"(?!\d)"
    if set_to := re.search(rf'"?(\w+)"?\s*=\s*{place}', statement):
        return [set_to[1]]
    values = re.search(r"VALUES \((.*?)\)(?:$|\s)", statement, re.DOTALL)
    places = re.findall(r"\$\d+", values[1]) if values else []
    columns = _statement_columns(statement)
    aligned = found[1] in places and len(places) == len(columns)
    return [columns[places.index(found[1])]] if aligned else []


def _identifiers(text: str) -> list[str]:
    return re.findall(r"[^\W\d]\w*", text) if "(" not in text else []


def _reported(error: exc.DBAPIError, name: str) -> str:
    """Return a field of the server's report, from asyncpg or psycopg."""
    for source in _sources(error):
        value: object = getattr(source, name, None)
        if isinstance(value, str):
            return value
    return ""


def _sources(error: exc.DBAPIError) -> list[Any]:
    return [getattr(error.orig, "diag", None), error.orig, _cause(error)]


def _cause(error: exc.DBAPIError) -> BaseException | None:
    """Return the driver's exception from inside of SQLAlchemy's."""
    return None if error.orig is None else error.orig.__cause__

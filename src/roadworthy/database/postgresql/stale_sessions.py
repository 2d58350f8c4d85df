"""Stale sessions: errors that concern one connection, and not the statement.

| the server says                                        | e.g.                              |
|--------------------------------------------------------|-----------------------------------|
| this node takes no writes                              | 25006 after a failover            |
| not while this node follows another one                | 0A000, 55000 of a hot standby     |
| this session is being ended                            | 57P01, 57P02, 57P05, 25P03, 25P04 |
| what was prepared is out of date, or is gone           | 0A000 after a migration, 26000    |
| nobody can log in here                                 | 3D000, 28P01, no TLS, no host     |

The connection is then thrown away, and so are the idle ones beside it, when somebody takes
them. Nothing here awaits: an engine of either kind can be watched.
"""

import sys
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext

__all__ = ["SETTINGS_KEY", "is_stale", "report_of", "sqlstate_of", "watch_sessions"]

SETTINGS_KEY: Final = "roadworthy.began"
"""What the server said of a session when it began, in the `info` of its connection."""

_READ_ONLY: Final = "25006"
_STANDBY: Final = ("0A000", "55000")
_ENDED: Final = ("57P", "25P03", "25P04")
_STALE: Final = "0A000"
_NOT_PREPARED: Final = "26000"
_REVALIDATED: Final = "RevalidateCachedQuery"
"""The function of the server that looks whether a plan still fits its tables."""

_FOLLOWS: Final = "in_hot_standby"
_REFUSES: Final = "default_transaction_read_only"
_TOLD: Final = (_FOLLOWS, _REFUSES)
"""What a server from version 14 tells of a session, and again whenever that changes."""
_ON: Final = "on"


def watch_sessions(engine: Engine, *, read_only: bool, replica: bool) -> None:
    """Close connections whose sessions are stale, when a statement fails for that.

    `read_only` says that the program itself wants sessions that refuse writes, `replica`
    that they lead to a server which follows another one.
    """
    dialect: Any = engine.dialect

    def judge(context: ExceptionContext) -> None:
        if context.connection is None:  # while connecting: nobody can do anything
            context.is_disconnect = True
        elif not context.is_disconnect:
            context.is_disconnect = _is_unfit(context, read_only=read_only, replica=replica)

    def leave_to_server(connection: Any, _: object) -> None:
        # After a unit that reads, psycopg would begin the next ones with READ WRITE, and so
        # write on a node whose administrator has fenced it off by its default.
        if connection is not None and dialect.get_readonly(connection) is False:
            dialect.set_readonly(connection, None)

    event.listen(engine, "connect", _note_beginning)
    event.listen(engine, "handle_error", judge)
    if dialect.driver == "psycopg":
        event.listen(engine, "checkin", leave_to_server)


def is_stale(error: BaseException) -> bool:
    """Return whether a statement was prepared before the schema changed, or is gone."""
    asyncpg: Any = sys.modules.get("asyncpg")  # it has an error of its own for types
    for said in report_of(error):
        state = getattr(said, "sqlstate", None)
        if state == _NOT_PREPARED or (state == _STALE and _function(said) == _REVALIDATED):
            return True
        if asyncpg is not None and isinstance(said, asyncpg.OutdatedSchemaCacheError):
            return True
    return False


def sqlstate_of(error: BaseException) -> str:
    """Return the SQLSTATE that the server sent, or ""."""
    for said in report_of(error):
        state: object = getattr(said, "sqlstate", None)
        if isinstance(state, str):
            return state
    return ""


def report_of(error: BaseException) -> list[BaseException]:
    """Return the driver's own exceptions: the server's report may be in any of them."""
    cause = error.__cause__
    return [error] if cause is None or cause is error else [error, cause]


def _is_unfit(context: ExceptionContext, *, read_only: bool, replica: bool) -> bool:
    error, connection = context.original_exception, context.connection
    state = sqlstate_of(error)
    if is_stale(error) or state.startswith(_ENDED):
        return True
    if connection is None or connection.closed or connection.invalidated:
        return False
    declared = bool(connection.get_execution_options().get("postgresql_readonly"))
    first: Mapping[str, str] = connection.info.get(SETTINGS_KEY) or {}
    now = _told_by(connection.connection.driver_connection)
    if state == _READ_ONLY:
        return not (declared or read_only or _takes_writes(first, now))
    return state in _STANDBY and now.get(_FOLLOWS) == _ON and not replica


def _takes_writes(first: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Return whether a session takes writes by itself, whatever its transaction says.

    One that began on a node which has been promoted meanwhile did not.
    """
    told = all(name in settings for settings in (first, now) for name in _TOLD)
    return told and _ON not in {settings[name] for settings in (first, now) for name in _TOLD}


def _note_beginning(connection: Any, record: Any) -> None:
    record.info[SETTINGS_KEY] = _told_by(getattr(connection, "driver_connection", connection))


def _told_by(driver_connection: Any) -> Mapping[str, str]:
    """Return the parameters that the server reported; none before PostgreSQL 14."""
    if hasattr(driver_connection, "get_settings"):  # asyncpg
        settings: Any = driver_connection.get_settings()
        found = {name: getattr(settings, name, None) for name in _TOLD}
    else:  # psycopg
        info: Any = driver_connection.info
        found = {name: info.parameter_status(name) for name in _TOLD}
    return {name: value for name, value in found.items() if value is not None}


def _function(said: BaseException) -> object:
    report: Any = getattr(said, "diag", None)
    if report is not None:
        return report.source_function
    return getattr(said, "server_source_function", None)

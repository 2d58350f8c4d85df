"""Run the first statement of a transaction again where its plan is out of date.

A driver keeps statements prepared. When a migration changes what one of them returns, the
server refuses it, once on each connection. What was the first statement of its transaction
is prepared anew and runs again: nothing was done, no lock is held and no setting is lost.
Where it was not, the transaction is over, and `sessions` sees to the connection.
"""

from collections.abc import Callable
from time import monotonic
from typing import Any, Final

from sqlalchemy import Engine, event, exc

from roadworthy.database.postgresql.stale_sessions import is_stale

__all__ = ["run_stale_again"]

_SINCE: Final = "roadworthy.since"
"""When a connection was made, in the `info` of its record."""


def run_stale_again(engine: Engine) -> None:
    """Run first statements again on this engine where their plan is out of date."""
    again = _Again()
    event.listen(engine, "connect", again.note)
    event.listen(engine, "checkout", again.refuse_older)
    event.listen(engine, "do_execute", again.execute)
    event.listen(engine, "do_executemany", again.execute_many)
    event.listen(engine, "do_execute_no_params", again.execute_plain)


class _Again:
    def __init__(self) -> None:
        self._stale_at = 0.0

    def note(self, _: object, record: Any) -> None:
        record.info[_SINCE] = monotonic()

    def refuse_older(self, _: object, record: Any, __: object) -> None:
        """Refuse connections with statements as old as one that was out of date."""
        if record.info.get(_SINCE, 0.0) < self._stale_at:
            raise exc.DisconnectionError

    def execute(self, cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        run = context.dialect.do_execute
        return self._run(cursor, context, lambda: run(cursor, statement, parameters, context))

    def execute_many(self, cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        run = context.dialect.do_executemany
        return self._run(cursor, context, lambda: run(cursor, statement, parameters, context))

    def execute_plain(self, cursor: Any, statement: str, context: Any) -> bool:
        run = context.dialect.do_execute_no_params
        return self._run(cursor, context, lambda: run(cursor, statement, context))

    def _run(self, cursor: Any, context: Any, run: Callable[[], None]) -> bool:
        if _in_transaction(context):
            return False  # SQLAlchemy runs it, as if nobody had asked
        try:
            run()
        except context.dialect.loaded_dbapi.Error as error:
            if not is_stale(error):
                raise
            self._stale_at = monotonic()
            _prepare_anew(cursor, context, run)
        return True


def _in_transaction(context: Any) -> bool:
    driver: Any = context.root_connection.connection.driver_connection
    if hasattr(driver, "is_in_transaction"):  # asyncpg
        return bool(driver.is_in_transaction())
    return bool(driver.info.transaction_status)  # psycopg: idle is 0


def _prepare_anew(cursor: Any, context: Any, run: Callable[[], None]) -> None:
    connection, dialect = context.root_connection.connection, context.dialect
    dialect.do_rollback(connection.dbapi_connection)
    driver: Any = connection.driver_connection
    if dialect.driver == "asyncpg":
        # What SQLAlchemy does itself, but only once the error has left the transaction.
        dialect._invalidate_schema_cache()  # noqa: SLF001 - it has no public name
        now = dialect._invalidate_schema_cache_asof  # noqa: SLF001 - likewise
        cursor._invalidate_schema_cache_asof = now  # noqa: SLF001 - likewise
        run()
        return
    threshold, driver.prepare_threshold = driver.prepare_threshold, None
    try:
        run()
    finally:
        driver.prepare_threshold = threshold

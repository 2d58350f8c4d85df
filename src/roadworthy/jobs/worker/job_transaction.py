"""`JobTransaction`: a transaction that is committed once, with its job's move.

The writes of a task and the completion of its job are one transaction. A commit in between would
part the two: after a crash right then, the job runs again and its effects happen twice.
"""

from types import TracebackType
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

__all__ = ["JobTransaction", "TransactionEnded"]


class TransactionEnded(RuntimeError):
    """A task, or its `on_dead`, has ended the transaction that moves its job.

    Operators see the name as the code `TRANSACTION_ENDED` of the job's error.
    """


class JobTransaction:
    """Refuse to commit or close `tx` within the block; savepoints and rollbacks are free.

        with JobTransaction(tx, task.name):
            await task.function(tx)

    Args:
        tx: The session of the transaction.
        name: The name of the task, for the error.

    Raises:
        TransactionEnded: At the commit; or on leaving, if the session was closed or the error
            at the commit was swallowed.
    """

    def __init__(self, tx: AsyncSession, name: str) -> None:
        self._session, self._name = tx.sync_session, name
        self._connections: list[Connection] = []
        self._refused = self._begun = self._rolled_back = False

    def __enter__(self) -> None:
        for name, listener in self._listeners():
            event.listen(self._session, name, listener)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for name, listener in self._listeners():
            event.remove(self._session, name, listener)
        for connection in self._connections:
            event.remove(connection, "commit", self._commits)
        if self._refused and error is None:
            raise self._refusal()

    def _listeners(self) -> tuple[tuple[str, Any], ...]:
        return (
            ("before_commit", self._commits_session),
            ("after_begin", self._begins),
            ("after_rollback", self._rolls_back),
            ("after_transaction_end", self._ends),
        )

    def _begins(self, _: Session, __: SessionTransaction, connection: Connection) -> None:
        if connection not in self._connections:
            self._connections.append(connection)
            event.listen(connection, "commit", self._commits)
        self._begun, self._rolled_back = True, False

    def _rolls_back(self, _: Session) -> None:
        self._rolled_back = True

    def _ends(self, _: Session, transaction: SessionTransaction) -> None:
        # rollback() is meant; code that closes the session expects it to be committed.
        if transaction.parent is None and self._begun:
            self._refused = self._refused or not self._rolled_back
            self._begun = False

    def _commits_session(self, session: Session) -> None:
        # Before its connection is asked, so that the session stays usable.
        if session.get_nested_transaction() is None:
            raise self._refusal()

    def _commits(self, connection: Connection) -> None:
        # For SQLAlchemy, a commit that raises has ended the transaction.
        connection.dialect.do_rollback(connection.connection)
        raise self._refusal()

    def _refusal(self) -> TransactionEnded:
        self._refused = True
        return TransactionEnded(
            f"{self._name} would commit or close the transaction of its job, in which all that it "
            "writes is committed together with its completion. Nothing was written. Take the "
            "commit out, or the `async with tx:`. Where a part may fail, write `async with "
            "tx.begin_nested():`; what has to last before the end, write in a transaction of its "
            "own: `async with job.find(Database).begin() as own:`."
        )

"""`TransactionGuard`: only the session's own dependency may end its transaction.

The effects of a request and its stored answer are one transaction. A commit before the answer is
in it would part the two, and after a rollback the code would go on without the key. Both are
noticed at the database connection, which every kind of session uses in the end.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import Enum, auto
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import InvalidRequestError, SQLAlchemyError
from sqlalchemy.orm import Session, SessionTransaction

from roadworthy.idempotency.call_site import CallSite, current_call_site, raised_by

__all__ = ["TransactionEnded", "TransactionGuard"]


class TransactionEnded(RuntimeError):
    """The transaction that holds an Idempotency-Key was ended by other code (500)."""


class _State(Enum):
    OPEN = auto()
    """The key is not claimed yet: a rollback loses nothing."""
    HELD = auto()
    """The key is claimed: writes are committed together with the answer."""
    ENDED = auto()
    """The transaction was rolled back: further writes would be without the key."""
    KEPT = auto()
    """The answer is in the transaction, which may be committed now."""
    COMMITTED = auto()
    LOST = auto()
    """The answer was in the transaction, and that was rolled back."""
    UNDONE = auto()
    """There is nothing to commit any more."""


class TransactionGuard:
    """Watch the session of a request with a key, until its dependencies are closed.

    Args:
        session: The session that the endpoint writes in.
    """

    def __init__(self, session: Session | None) -> None:
        self._session = session
        self._state = _State.OPEN
        self._fault: TransactionEnded | None = None
        self._end: CallSite | None = None
        self._connection: Connection | None = None
        self._forget: Callable[[], Awaitable[None]] | None = None
        for name, listener in self._listeners():
            event.listen(session, name, listener)

    def watch(self, connection: Connection) -> None:
        """Watch for the end of this connection's transaction."""
        if event.contains(connection, "commit", self._commits):
            return
        for name in ("commit", "commit_twophase", "prepare_twophase"):
            event.listen(connection, name, self._commits)
        for name in ("rollback", "rollback_twophase"):
            event.listen(connection, name, self._rolls_back)

    def hold(self, connection: Connection, forget: Callable[[], Awaitable[None]]) -> None:
        """Refuse every end of this connection's transaction from now on.

        `forget()` gives the key back, if no answer was stored and the transaction goes on.
        """
        self._connection, self._forget = connection, forget
        self._state = _State.HELD

    def check(self) -> None:
        """Check that the transaction still holds the key.

        Raises:
            TransactionEnded: Other code has ended the transaction.
        """
        if self._state is _State.ENDED:
            self._refuse_to_go_on()
        if self._fault is not None:
            raise self._fault

    def finish(self) -> None:
        """Check the transaction of a request that raised nothing.

        Raises:
            TransactionEnded: An end was refused, and the refusal was swallowed.
        """
        if self._fault is not None:
            self.undo()
            raise self._fault
        if self._state is not _State.KEPT:
            self.undo()

    def release(self) -> None:
        """Allow the commit: the answer is in the transaction."""
        self._state = _State.KEPT

    def undo(self) -> None:
        """Refuse the commit: the request failed, or is a repeat."""
        self._state = _State.UNDONE

    def fault_of(self, error: Exception) -> TransactionEnded | None:
        """Return the refusal behind an exception, with the line to change, or None."""
        if self._fault is None and isinstance(error, InvalidRequestError):
            if self._state is _State.ENDED:  # SQLAlchemy has noticed, too
                self._fault = self._went_on()
            elif call := raised_by(error, (Session.begin, Connection.begin)):
                self._fault = TransactionEnded(_BEGINS.format(call=call))
        return self._fault

    async def close(self, error: BaseException | None) -> None:
        """Stop watching, when all dependencies are closed.

        Raises:
            TransactionEnded: The answer was stored, and the transaction rolled back.
        """
        for name, listener in self._listeners():
            event.remove(self._session, name, listener)
        if self._state is _State.LOST and error is None:
            raise TransactionEnded(_NEVER_COMMITTED)
        if self._state is _State.UNDONE:
            await self._give_back()

    async def _give_back(self) -> None:
        # Only if the transaction is not ours: that of a test, around all requests.
        if self._forget and self._connection and self._connection.in_transaction():
            with suppress(SQLAlchemyError):
                await self._forget()

    def _listeners(self) -> tuple[tuple[str, Any], ...]:
        if self._session is None:
            return ()
        return (
            ("after_begin", self._begins),
            ("before_commit", self._commits_session),
            ("after_transaction_end", self._ends_session),
        )

    def _begins(self, _: Session, __: SessionTransaction, connection: Connection) -> None:
        self.watch(connection)
        if self._state is _State.ENDED:
            self._refuse_to_go_on()

    def _commits_session(self, session: Session) -> None:
        # Before its connection is asked, so that the session stays usable.
        if session.get_nested_transaction() is None:
            self._refuse_early()

    def _commits(self, connection: Connection, *_: Any) -> None:
        try:
            self._refuse_early()
        except TransactionEnded:
            _empty(connection)
            raise
        if self._state is _State.UNDONE:
            _empty(connection)
        else:
            self._state = _State.COMMITTED

    def _refuse_early(self) -> None:
        if self._state in {_State.OPEN, _State.HELD, _State.ENDED}:
            self._fault = self._fault or TransactionEnded(_COMMITS.format(call=_told()))
            raise self._fault

    def _rolls_back(self, _: Connection, *__: Any) -> None:
        self._note_end()
        if self._state is _State.KEPT:
            self._state = _State.LOST

    def _ends_session(self, _: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is None:
            self._note_end()

    def _note_end(self) -> None:
        if self._state is _State.HELD:
            self._state = _State.ENDED
        if self._state is _State.ENDED and self._end is None:
            # A connection of a `def` route is asked elsewhere: its session knows the line.
            self._end = current_call_site()

    def _refuse_to_go_on(self) -> None:
        self._fault = self._fault or self._went_on()
        raise self._fault

    def _went_on(self) -> TransactionEnded:
        return TransactionEnded(_WENT_ON.format(call=self._end or "Something"))


def _told() -> object:
    return current_call_site() or "Something"


def _empty(connection: Connection) -> None:
    # For SQLAlchemy, a commit that raises has ended the transaction, and a pool takes
    # such a connection back as it is.
    connection.dialect.do_rollback(connection.connection)


_COMMITS: Final = (
    "{call} would commit the effects of a request with an Idempotency-Key without its answer, "
    "so that each repeat had them again. It was refused, and nothing was written. Take the "
    "commit out: the session's own dependency commits, once the answer is kept beside the "
    "effects. Where a part of them may fail, write `async with session.begin_nested():`."
)
_WENT_ON: Final = (
    "{call} ended the transaction that holds the Idempotency-Key, and the request went on: what "
    "it writes afterwards would be written again by each repeat. Nothing was written. Raise or "
    "return an error right after that line, or put what may fail into "
    "`async with session.begin_nested():` and take the line out."
)
_BEGINS: Final = (
    "{call} begins a transaction where one is open that holds the Idempotency-Key. Nothing was "
    "written. Write `session.begin_nested()` for a savepoint, or take that line out and keep "
    "its block: the session's own dependency commits."
)
_NEVER_COMMITTED: Final = (
    "The session's dependency ended without a commit, so that the effects of a request with an "
    "Idempotency-Key and its answer are lost. Let it commit: "
    "`async with AsyncSession(engine) as session, session.begin(): yield session`."
)

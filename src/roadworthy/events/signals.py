"""Tell the `Events` of this process when a transaction that published has committed.

While one is open, listeners on SQLAlchemy's sessions look for a mark that `publish` left.
"""

from collections.abc import Callable
from typing import Any, Final
from weakref import WeakSet

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session, SessionTransaction

from roadworthy._sqlalchemy.notices import notice

__all__ = ["CHANNEL", "Waker", "announce", "listen", "unlisten"]

CHANNEL: Final = "roadworthy_events"
"""What PostgreSQL's NOTIFY is sent on."""
_MARK: Final = "roadworthy.events.published"


class Waker:
    """Something to wake after each commit in this process that published.

    Args:
        wake: Called from the thread that commits; it must not block or raise.
    """

    def __init__(self, wake: Callable[[], object]) -> None:
        self.wake = wake


_wakers: "WeakSet[Waker]" = WeakSet()


def listen(waker: Waker) -> None:
    """Wake `waker` from now on."""
    if not _wakers:
        for name, handler in _HANDLERS.items():
            event.listen(Session, name, handler)
    _wakers.add(waker)


def unlisten(waker: Waker) -> None:
    """Wake `waker` no more."""
    _wakers.discard(waker)
    if not _wakers:
        for name, handler in _HANDLERS.items():
            if event.contains(Session, name, handler):
                event.remove(Session, name, handler)


def announce(tx: Session | Connection, connection: Connection) -> None:
    """Note that this transaction has published."""
    if isinstance(tx, Session):
        tx.info[_MARK] = True
    elif connection.dialect.name == "postgresql":
        # A bare connection tells nobody of its commit; the server does.
        connection.execute(notice(CHANNEL, "written"))
    else:
        # This is called just before the commit: who looks too early for it looks again soon.
        event.listen(connection, "commit", _wake_for)


def _after_commit(session: Session) -> None:
    # A savepoint that is released is no commit: nothing is durable yet.
    if not session.in_nested_transaction() and session.info.pop(_MARK, False):
        _wake()


def _after_end(session: Session, ended: SessionTransaction) -> None:
    # A commit has taken the mark before it comes here.
    if ended.parent is None:
        session.info.pop(_MARK, None)


_HANDLERS: Final[dict[str, Callable[..., Any]]] = {
    "after_commit": _after_commit,
    "after_transaction_end": _after_end,
}


def _wake_for(_: Connection) -> None:
    _wake()


def _wake() -> None:
    for waker in list(_wakers):
        waker.wake()

"""Tell the engines of this process when a transaction with jobs has committed.

While an application with `Jobs` is open, one listener on SQLAlchemy's sessions looks
for a mark that enqueueing left. Nothing waits for the engines: they are only woken.
"""

import inspect
import itertools
import logging
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, Literal, Protocol, TypeAlias
from weakref import WeakSet

from sqlalchemy import Connection, TextClause, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

from roadworthy._sqlalchemy import notices
from roadworthy.jobs.table.call import Call

__all__ = [
    "CHANNEL",
    "Listener",
    "Notice",
    "announce",
    "check_database",
    "expect",
    "listen",
    "notice_of",
    "run_after_commit",
    "unlisten",
]

_log = logging.getLogger("roadworthy.jobs")

CHANNEL: Final = "roadworthy_jobs"
"""What PostgreSQL's NOTIFY is sent on."""

_ADDED: Final = "roadworthy.jobs.added"
_STOPPED: Final = "roadworthy.jobs.stopped"
_CALLS: Final = "roadworthy.jobs.after_commit"
_EXPECTED: Final = "roadworthy.jobs.expected"
_numbers: Final = itertools.count()


Notice: TypeAlias = Literal["jobs", "stop"]
"""What other processes are told: there may be jobs to run, or running ones to stop."""


class Listener(Protocol):
    """An open `Jobs`, as the signals call it, from any thread."""

    def wake(self) -> None:
        """Look for jobs now."""
        ...

    def recheck(self) -> None:
        """Look whether a running job was cancelled."""
        ...

    def knows(self, call: Call) -> bool:
        """Return whether the task of a call is one of this listener."""
        ...

    def serves(self, connection: Connection) -> bool:
        """Return whether the jobs of this listener are in the database of a connection."""
        ...

    def run_unstored(self, call: Call) -> None:
        """Run a call once in this process, without a row."""
        ...


_listeners: "WeakSet[Listener]" = WeakSet()


def listen(listener: Listener) -> None:
    """Wake `listener` after each commit in this process that held jobs."""
    if not _listeners:
        for name, handler in _HANDLERS.items():
            event.listen(Session, name, handler)
    _listeners.add(listener)


def unlisten(listener: Listener) -> None:
    """Wake `listener` no more."""
    _listeners.discard(listener)
    if not _listeners:
        for name, handler in _HANDLERS.items():
            if event.contains(Session, name, handler):
                event.remove(Session, name, handler)


def check_database(call: Call, connection: Connection) -> None:
    """Refuse a job that would wait in one database for the workers of another.

    Raises:
        RuntimeError: The `Jobs` of this database do not know its task, and others do.
    """
    if len(_listeners) < 2:  # noqa: PLR2004 - there is no other one
        return
    knowing = [listener for listener in list(_listeners) if listener.knows(call)]
    if not knowing or any(listener.serves(connection) for listener in knowing):
        return
    if any(listener.serves(connection) for listener in list(_listeners)):
        raise RuntimeError(
            f"{call.task.name} is a task of the Jobs of another database, and those of "
            f"{connection.engine.url.database} would never run it. Enqueue it in a transaction of "
            "its database, such as Annotated[AsyncSession, transaction(database='...')], or name "
            "it in the tasks of these Jobs, too."
        )


def announce(tx: Session | Connection, connection: Connection, *, stop: bool = False) -> None:
    """Note that this transaction changed what there is to run, or what is to stop."""
    if isinstance(tx, Session):
        tx.info[_STOPPED if stop else _ADDED] = True
    elif connection.dialect.name == "postgresql":
        # A bare connection tells nobody of its commit; the server does.
        connection.execute(notice_of("stop" if stop else "jobs"))
    else:
        # This is called just before the commit; on SQLite whoever is woken waits for it.
        event.listen(connection, "commit", _recheck_for if stop else _wake_for)


def expect(tx: AsyncSession | AsyncConnection, method: str) -> Callable[[], object]:
    """Note that a coroutine was made that has to be awaited before `tx` commits.

    It is called by the method that makes it. Call what is returned when it is awaited.
    """
    if not isinstance(tx, AsyncSession):
        return _nothing
    expected: dict[int, str] = tx.sync_session.info.setdefault(_EXPECTED, {})
    number = next(_numbers)
    expected[number] = f"{method}(){_line(inspect.currentframe())}"
    return lambda: expected.pop(number, None)


def _line(frame: FrameType | None) -> str:
    """Return where the method was called whose frame called that one."""
    method = frame and frame.f_back
    caller = method and method.f_back
    return f" in {caller.f_code.co_filename}, line {caller.f_lineno}" if caller else ""


def _nothing() -> None:
    """Note nothing: a bare connection tells nobody of its commit."""


def notice_of(notice: Notice) -> TextClause:
    """Return the statement that tells the processes that listen, once it is committed."""
    return notices.notice(CHANNEL, notice)


def run_after_commit(session: Session, call: Call) -> None:
    """Have `call` run in this process once `session` has committed.

    Raises:
        RuntimeError: No `Jobs` that knows the task is open in this process.
    """
    _listener_for(call)
    session.info.setdefault(_CALLS, []).append((_savepoints(session), call))


def _listener_for(call: Call) -> Listener:
    for listener in list(_listeners):
        if listener.knows(call):
            return listener
    raise RuntimeError(
        f"{call.task.name}.after_commit(...) runs in this process, where no Jobs that knows the "
        "task is open. Add it where the application is made: "
        "FastAPI(lifespan=lifespan(db, Jobs(db, tasks=[...])))."
    )


def _savepoints(session: Session) -> list[SessionTransaction]:
    """Return the savepoints that a rollback to would undo what happens now."""
    here, found = session.get_nested_transaction(), list[SessionTransaction]()
    while here is not None and here.nested:
        found.append(here)
        here = here.parent
    return found


def _before_commit(session: Session) -> None:
    if session.in_nested_transaction():
        return
    expected: dict[int, str] = session.info.get(_EXPECTED, {})
    if expected:
        forgotten = "; ".join(expected.values())
        raise RuntimeError(
            f"Nothing was enqueued, because nobody has awaited this before the commit: "
            f"{forgotten}. Write `await` before it."
        )


def _after_commit(session: Session) -> None:
    if session.in_nested_transaction():
        return  # a savepoint was released: nothing is durable yet
    if session.info.pop(_ADDED, False):
        _wake()
    if session.info.pop(_STOPPED, False):
        _recheck()
    for _, call in session.info.pop(_CALLS, ()):
        _run(call)


def _run(call: Call) -> None:
    try:
        listener = _listener_for(call)
    except RuntimeError as error:
        # Jobs was closed meanwhile. The commit is done: whoever committed must not hear of it.
        _log.warning("%s was to run after a commit, and is lost: %s", call.task.name, error)
        return
    listener.run_unstored(call)


def _after_rollback(session: Session, ended: SessionTransaction) -> None:
    if ended.nested:
        calls: list[tuple[list[SessionTransaction], Call]] = session.info.get(_CALLS, [])
        calls[:] = [entry for entry in calls if ended not in entry[0]]


def _after_end(session: Session, ended: SessionTransaction) -> None:
    # A flush is a transaction too, in one of these: it ends nothing when it fails. Closing a
    # session rolls back without saying so. A commit has taken the marks before it comes here.
    if ended.parent is None:
        for mark in (_ADDED, _STOPPED, _CALLS, _EXPECTED):
            session.info.pop(mark, None)


_HANDLERS: Final[dict[str, Callable[..., Any]]] = {
    "before_commit": _before_commit,
    "after_commit": _after_commit,
    "after_soft_rollback": _after_rollback,
    "after_transaction_end": _after_end,
}


def _wake_for(_: Connection) -> None:
    _wake()


def _recheck_for(_: Connection) -> None:
    _recheck()


def _wake() -> None:
    for listener in list(_listeners):
        listener.wake()


def _recheck() -> None:
    for listener in list(_listeners):
        listener.recheck()

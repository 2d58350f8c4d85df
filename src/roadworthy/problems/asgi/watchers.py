"""`watch`: be called when a request begins, and with its outcome when it is over.

An observer of responses has their status. Here is what it leaves out: the code of the
error, what failed after the response had begun, and whether anybody was there to read it.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from inspect import iscoroutine
from typing import Any, Final, NamedTuple, Protocol, cast

from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope

from roadworthy.problems.asgi.lingering_close import has_more_body

__all__ = ["Outcome", "Watcher", "client_has_left", "wants_errors_only", "watch", "watchers_of"]

_KEY: Final = "roadworthy_watchers"


class Outcome(NamedTuple):
    """The outcome of a request, when nothing of it runs any more."""

    status: int | None
    """None where there was no response."""
    seconds: float
    """Until the last byte of the response was sent."""
    error_code: str | None
    """The `X-Error-Code` of the response."""
    failure: Exception | None
    """What failed after the response had begun: a late commit, a background task, a stream."""
    client_left: bool
    """Whether the client had gone before it had all of the response."""
    crash: BaseException | None = None
    """The first exception that no client was told the cause of: a crash, or a late failure."""
    reason: str | None = None
    """Which case of the error it was: `Problem.reason_for_log()`."""


class Watcher(Protocol):
    """An observer of requests. It is called for each of them: keep it short.

    One that has an attribute `errors_only = True` costs other requests nothing: only its
    `ended` is called, and only for answers of 400 and above, and for what failed or crashed.
    """

    def began(self, scope: Scope) -> None:
        """Be called when a request begins."""
        ...

    def ended(self, scope: Scope, outcome: Outcome) -> None:
        """Be called when a request is over, and all that runs after its response, too."""
        ...


def watch(app: Starlette, watcher: Watcher) -> None:
    """Call `watcher` for each request of `app`, once that is under the contract.

    It may be called before or after `install`, until the application starts.
    """
    if not hasattr(app.state, _KEY):
        setattr(app.state, _KEY, [])
    _list_of(app).append(watcher)


def watchers_of(app: Starlette) -> Iterator[Watcher]:
    """Yield the watchers of an application."""
    yield from _list_of(app)


def wants_errors_only(watcher: Watcher) -> bool:
    """Return whether a watcher is called for what went wrong alone."""
    return getattr(watcher, "errors_only", False) is True


def client_has_left(scope: Scope, receive: Receive) -> bool:
    """Ask the server, without waiting, whether the client has gone.

    False where the server cannot say. Only where all of the body has come: what is read
    here is lost.
    """
    if has_more_body(scope):
        return False
    try:
        return any(kind == "http.disconnect" for kind in _types_at_hand(receive))
    except (Exception, asyncio.CancelledError):
        # Whatever a server does when it is asked once more, the answer goes out. It is the
        # server that was cancelled: nobody can cancel this task, which does not wait here.
        return False


def _types_at_hand(receive: Receive) -> Iterator[str]:
    """Yield the type of each message that the server would not wait for."""
    for _ in range(_MESSAGES):
        asked: Any = receive()
        if iscoroutine(asked):
            message = _first_step(asked)
        elif isinstance(asked, asyncio.Future):
            future = cast("asyncio.Future[Message]", asked)
            message = future.result() if future.done() else None
        else:
            return  # ASGI promises an awaitable: nothing but to await this one is safe
        if message is None:
            return
        yield message["type"]


def _first_step(asked: Coroutine[Any, Any, Message]) -> Message | None:
    try:
        asked.send(None)
    except StopIteration as done:
        return cast("Message", done.value)
    asked.close()
    return None


_MESSAGES: Final = 2
"""The end of an empty body that nobody has read, and what comes after it."""


def _list_of(app: Starlette) -> list[Watcher]:
    return cast("list[Watcher]", getattr(app.state, _KEY, []))

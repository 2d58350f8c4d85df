"""`Drain`: hold SIGTERM back while load balancers learn that this instance leaves.

A server closes its socket on SIGTERM at once: no balancer reads "not ready", and clients
that connect in that moment are refused. Here the signal first turns readiness to
`not_ready`, then waits, then ends streams, and only then stops the server.
"""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable
from time import monotonic
from types import FrameType
from typing import Any, Final

from roadworthy.health import metrics

__all__ = ["Drain"]

log = logging.getLogger("roadworthy.health")

_ECHO: Final = 1.0
"""Seconds in which a second SIGTERM is the same one: sent to the group, and by the parent."""
_SETTLED: Final = 1.0
"""Seconds after which a server has set its signal handlers."""


class Drain:
    """A wrapper around the server's handler of SIGTERM; SIGINT stays as it is.

    Args:
        seconds: How long the service is not ready and still serves.
        end_streams: Called when the drain is over, before the server stops.
    """

    def __init__(self, *, seconds: float, end_streams: Callable[[], None]) -> None:
        self.seconds = seconds
        self.draining = False
        self._end_streams = end_streams
        self._began_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._theirs: Any = None
        self._ours: Any = None
        self._stopped = True

    def start(self) -> None:
        """Wrap the server's handler of SIGTERM; call this in the event loop."""
        self._loop = asyncio.get_running_loop()
        self.draining, self._timer = False, None  # it may be started again
        if threading.current_thread() is not threading.main_thread():
            return  # only the main thread gets signals: a test, or an embedded server
        theirs = signal.getsignal(signal.SIGTERM)
        if _can_be_held(theirs):
            self._wrap(theirs, self._on_sigterm)
        elif callable(theirs):
            self._only_end_streams()
        else:  # hypercorn sets its handler only once the application has started
            self._timer = self._loop.call_later(_SETTLED, self._only_end_streams)

    def _only_end_streams(self) -> None:
        """End streams on SIGTERM, where a server that ends at once allows no drain."""
        self._timer = None
        theirs = signal.getsignal(signal.SIGTERM)
        log.warning(
            "SIGTERM ends this server at once: drain=%g s has no effect. Serve with uvicorn, "
            "or let whoever stops the process take it out of the balancer first "
            "(Kubernetes: a preStop sleep).",
            self.seconds,
        )
        if callable(theirs):  # hypercorn's workers have no handler: their parent has
            self._wrap(theirs, self._end_now)
            signal.siginterrupt(signal.SIGTERM, False)

    def _wrap(self, theirs: Any, ours: Callable[[int, FrameType | None], None]) -> None:
        self._theirs, self._ours, self._stopped = theirs, ours, False
        signal.signal(signal.SIGTERM, ours)

    def _end_now(self, number: int, frame: FrameType | None) -> None:
        if not self._stopped:
            self.draining = True
            self._loop.call_soon_threadsafe(self._end_streams)

    def stop(self) -> None:
        """Set the server's own handler of SIGTERM again."""
        if self._timer is not None:
            self._timer.cancel()
        if self._theirs is not None and signal.getsignal(signal.SIGTERM) == self._ours:
            signal.signal(signal.SIGTERM, self._theirs)
            self._theirs = None
        self._stopped = True

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        if self._stopped:  # another application has taken the signal after us, and stops after us
            if self._theirs is not None:
                self._theirs(number, frame)
            return
        self.draining = self.draining or self._begins()
        self._loop.call_soon_threadsafe(self._go_on, number)

    def _begins(self) -> bool:
        self._began_at = monotonic()
        return True

    def _go_on(self, number: int) -> None:
        if self._timer is None:
            metrics.record_draining(value=True)
            log.info("SIGTERM: not ready, serving for %g more seconds", self.seconds)
            self._timer = self._loop.call_later(self.seconds, self._finish, number)
        elif monotonic() - self._began_at > _ECHO:
            self._timer.cancel()
            self._finish(number)

    def _finish(self, number: int) -> None:
        self._end_streams()
        # One turn of the loop, so that streams have written their end.
        self._loop.call_soon(self._stop_server, number)

    def _stop_server(self, number: int) -> None:
        server: Any = getattr(self._theirs, "__self__", None)
        if hasattr(server, "should_exit"):
            server.should_exit = True  # uvicorn: an orderly end, whose exit code is 0
        elif self._theirs is not None:
            self._theirs(number, None)


def _can_be_held(handler: Any) -> bool:
    """Return whether wrapping this handler of SIGTERM holds the signal back.

    An event loop hears of signals by itself, whatever handler Python has: hypercorn, granian
    and gunicorn's own ASGI worker register theirs with the loop, and begin to end at once.
    """
    owner = getattr(handler, "__self__", None)
    of_a_loop = isinstance(owner, asyncio.AbstractEventLoop) or (
        getattr(handler, "__module__", None) == "asyncio.unix_events"
    )
    return callable(handler) and not of_a_loop

"""`Health`: dependency checks and the probe endpoints."""

import asyncio
import hmac
from collections.abc import Iterable
from datetime import timedelta
from inspect import iscoroutinefunction
from itertools import count
from types import TracebackType
from typing import Final, Self

from fastapi import FastAPI

from roadworthy import _fastapi
from roadworthy._internal.durations import check_duration
from roadworthy.health import metrics
from roadworthy.health.check import Check, CheckFunction
from roadworthy.health.check_state import CheckState
from roadworthy.health.drain import Drain
from roadworthy.health.probe_layer import ProbeLayer
from roadworthy.health.prober import Prober
from roadworthy.health.report import EVENT_LOOP
from roadworthy.health.routes import router
from roadworthy.health.shared_results import SharedResults
from roadworthy.health.streams import Streams
from roadworthy.health.watchdog import Watchdog

__all__ = ["Health"]

_SECOND: Final = timedelta(seconds=1)
_FIRST_SECONDS: Final = 5.0
"""The longest wait for the first results at the start."""

_numbers: Final = count()
"""Numbers of `Health` objects: all workers make them in the same order, and so share them."""


class Health:
    """Check dependencies in the background, and answer probes from the last results.

        health = Health(version="1.4.0", drain=timedelta(seconds=5))
        health.add("database", db.ping, timeout=timedelta(seconds=1))

    `Health` is a part: pass it last to `lifespan(...)`, so that all that is checked is open before.
    `install` adds the probes.

    Args:
        version: Shown by `/health`.
        drain: How long after SIGTERM the service is not ready and still serves. A second
            SIGTERM, a second later or more, ends the drain.
        token: Clients that send `Authorization: Bearer <token>` may read why a check does not
            pass; for all others the reasons are in the log only.
        max_lag: `/livez` fails while the event loop was late by more than this in the last
            ten seconds.
    """

    def __init__(
        self,
        *,
        version: str | None = None,
        drain: timedelta = timedelta(0),
        token: str | None = None,
        max_lag: timedelta = timedelta(seconds=10),
    ) -> None:
        check_duration("drain", drain)
        check_duration("max_lag", max_lag, above_zero=True)
        self.version = version
        self._number = next(_numbers)
        self.started = False
        """Whether the start is over, as `/startupz` answers."""
        self._token = token.encode() if token else None
        self._max_lag = max_lag.total_seconds()
        self._probers: dict[str, Prober] = {}
        self._watchdog = Watchdog()
        self.streams = Streams()
        """The endless responses that are being sent."""
        self._drain = Drain(seconds=drain.total_seconds(), end_streams=self.streams.end)
        self.add(EVENT_LOOP, self._check_loop, critical=False, interval=_SECOND, shared=False)

    def add(
        self,
        name: str,
        check: CheckFunction,
        *,
        timeout: timedelta = _SECOND,
        interval: timedelta = timedelta(seconds=5),
        critical: bool = True,
        failures: int = 2,
        recoveries: int = 1,
        after: Iterable[str] = (),
        shared: bool = True,
    ) -> None:
        """Add a check, which runs every `interval` and has `timeout` to answer.

        A check passes if it returns None, warns if it returns a reason, and fails if it raises or
        does not answer in time.

        Args:
            name: The name of the check in answers, logs and metrics.
            check: The `async def` to run.
            critical: With False, a failure degrades the service, and leaves it ready.
            interval: The time between two runs.
            timeout: How long a run may take.
            failures: Failures in a row until probes show the check as failing. The first result
                counts at once; while results contradict the status, the check runs five times
                as often.
            recoveries: Successes in a row until a failing check passes again.
            after: Names of checks that have to pass for this one to run.
            shared: One worker of a server runs the check, and all read its result. A check of a
                single process (of its threads, of its cache) needs False.

        Raises:
            ValueError: The name is taken, or a check in `after` has not been added yet.
            TypeError: `check` is no `async def`, or a time is no `timedelta`.
        """
        check_duration("timeout", timeout, above_zero=True)
        check_duration("interval", interval, above_zero=True)
        if name in self._probers:
            raise ValueError(f"There is a check named {name!r} already. Choose another name.")
        if not iscoroutinefunction(check) and not iscoroutinefunction(
            getattr(check, "__call__", None)  # noqa: B004 - whether that is a coroutine
        ):
            raise TypeError(
                f"The check {name!r} must be an `async def`. Let it await "
                "asyncio.to_thread(...) where it has to block."
            )
        made = Check(
            name=name,
            run=check,
            timeout=timeout,
            interval=interval,
            critical=critical,
            failures=failures,
            recoveries=recoveries,
            after=tuple(after),
            shared=shared,
        )
        self._probers[name] = Prober(made, [self._prober(other) for other in made.after])

    def install(self, app: FastAPI) -> None:
        """Add the probes to an application, for GET and HEAD.

        The probes are `/livez`, `/startupz`, `/readyz`, `/readyz/{check}` and `/health`. They are
        answered before any middleware or dependency of `app` runs. Call this before
        `problems.install(app)`, so that probes have request ids, too.

        Raises:
            RuntimeError: The application has already started.
        """
        app.include_router(router(self))
        _fastapi.wrap_outermost(app, lambda inner: ProbeLayer(inner, self))

    async def __aenter__(self) -> Self:
        self._watchdog.start()
        self._shared = SharedResults(f"health {self._number} {sorted(self._probers)}").open()
        for name, prober in self._probers.items():
            prober.start(self._shared.file(name) if prober.check.shared else None)
        await self._first_results()
        self._drain.start()
        self.started = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.started = False
        self._drain.stop()
        await asyncio.gather(*(prober.stop() for prober in self._probers.values()))
        self._shared.close()
        await self._watchdog.stop()

    @property
    def draining(self) -> bool:
        """Return whether the service is about to stop: not ready, but still serving."""
        return self._drain.draining

    @property
    def alive(self) -> bool:
        """Return whether the event loop runs, as `/livez` answers."""
        return self._watchdog.lag <= self._max_lag

    @property
    def check_states(self) -> list[CheckState]:
        """Return the state of each check."""
        return [prober.state for prober in self._probers.values()]

    def is_operator(self, authorization: str | None) -> bool:
        """Return whether a client may read the reasons of failures."""
        scheme, _, token = (authorization or "").partition(" ")
        if self._token is None or scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(token.strip().encode(), self._token)

    async def _first_results(self) -> None:
        first = [asyncio.create_task(prober.first.wait()) for prober in self._probers.values()]
        _, late = await asyncio.wait(first, timeout=_FIRST_SECONDS)
        for task in late:
            task.cancel()

    def _prober(self, name: str) -> Prober:
        if name not in self._probers:
            raise ValueError(f"There is no check named {name!r} to come after: add that one first.")
        return self._probers[name]

    async def _check_loop(self) -> str | None:
        lag = self._watchdog.lag
        metrics.record_loop_lag(lag)
        return f"the event loop was {lag:.1f} s late" if lag > _SECOND.total_seconds() else None

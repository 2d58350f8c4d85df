"""`Prober`: run one check again and again, one run at a time, none for too long."""

import asyncio
import logging
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from time import perf_counter
from typing import Final

from roadworthy.health import observe
from roadworthy.health.check import Check, Result, Standing, Status

__all__ = ["Prober"]

log = logging.getLogger("roadworthy.health")

_JITTER: Final = 0.1
"""Processes that were started together should not ask together for ever."""
_LAST_SECONDS: Final = 1.0
"""How long a run that was cancelled may take to end when the service stops."""


class Prober:
    """Ask in the background; what is known stands in `standing`."""

    def __init__(self, check: Check, after: "Sequence[Prober]" = ()) -> None:
        self.check, self.standing = check, Standing(check)
        self.first = asyncio.Event()
        """Set once there is an answer."""
        self._after = after
        self._run: asyncio.Task[str | None] | None = None
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to ask."""
        self._loop = asyncio.create_task(self._go_on(), name=f"health: {self.check.name}")

    async def stop(self) -> None:
        """Ask no more. A run that cannot be ended is left behind, and holds up nothing."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.wait({self._loop})
        if self._run is not None and not self._run.done():
            self._run.cancel()
            await asyncio.wait({self._run}, timeout=_LAST_SECONDS)
            if not self._run.done():
                log.error("the check %s ignores its end, and is left behind", self.check.name)
                # Else `asyncio.run` would wait for it, and the process would never end.
                asyncio.tasks._unregister_task(self._run)  # noqa: SLF001 - documented

    async def _go_on(self) -> None:
        for other in self._after:
            await other.first.wait()
        while True:
            if blocked := self._blocked_by():
                self.standing.skip(f"not checked: {blocked} does not pass")
            else:
                self._take(await self._ask())
            self.first.set()
            await asyncio.sleep(self.standing.pause() * _jitter())

    def _blocked_by(self) -> str | None:
        failing = (other for other in self._after if other.standing.status == "fail")
        return next((other.check.name for other in failing), None)

    async def _ask(self) -> Result:
        if self._run is not None and not self._run.done():
            return self._result("fail", self.check.timeout.total_seconds(), "it still hangs")
        began = perf_counter()
        self._run = asyncio.ensure_future(_call(self.check))
        await asyncio.wait({self._run}, timeout=self.check.timeout.total_seconds())
        seconds = perf_counter() - began
        if not self._run.done():
            # Whether it obeys is not waited for: this is what a hung driver does not do.
            self._run.cancel()
            self._run.add_done_callback(_forget)
            return self._result("fail", seconds, f"no answer within {seconds:.1f} s")
        return self._answer(self._run, seconds)

    def _answer(self, run: "asyncio.Task[str | None]", seconds: float) -> Result:
        if run.cancelled():
            return self._result("fail", seconds, "it was cancelled")
        if error := run.exception():
            return self._result("fail", seconds, f"{type(error).__name__}: {error}")
        reason = run.result()
        return self._result("warn" if reason else "pass", seconds, reason)

    def _result(self, status: Status, seconds: float, reason: str | None) -> Result:
        return Result(status=status, at=datetime.now(UTC), seconds=seconds, reason=reason)

    def _take(self, result: Result) -> None:
        changed = self.standing.hear(result)
        observe.checked(self.check.name, self.standing.status, result.seconds)
        if changed if self.first.is_set() else result.status != "pass":
            self._tell()

    def _tell(self) -> None:
        name, status, reason = self.check.name, self.standing.status, self.standing.reason
        if status == "pass":
            log.info("%s passes", name)
        elif status == "warn":
            log.warning("%s is not well: %s", name, reason)
        else:
            log.error("%s fails: %s", name, reason)


def _jitter() -> float:
    return random.uniform(1 - _JITTER, 1)  # noqa: S311 - nobody has to be unable to guess it


async def _call(check: Check) -> str | None:
    return await check.ask()


def _forget(run: "asyncio.Task[str | None]") -> None:
    """Take what it raises in the end: its answer was given when its time was up."""
    if not run.cancelled():
        run.exception()

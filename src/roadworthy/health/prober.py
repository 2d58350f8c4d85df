"""`Prober`: run one check again and again, one run at a time, none for too long.

Where a server has several workers, one of them runs it, and the others take its answer.
"""

import asyncio
import logging
import math
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic, perf_counter
from typing import Final

from roadworthy.health import metrics
from roadworthy.health.check import Check, CheckResult, CheckState, Status
from roadworthy.health.shared_results import SharedFile, SharedResult

__all__ = ["Prober"]

log = logging.getLogger("roadworthy.health")

_JITTER: Final = 0.1
"""Processes that were started together should not ask together for ever."""
_TURNS: Final = 2
"""How often to wait for others: once more where who had the turn has died in it."""
_LAST_SECONDS: Final = 1.0
"""How long a run that was cancelled may take to end when the service stops."""


class Prober:
    """Ask in the background; what is known stands in `standing`."""

    def __init__(self, check: Check, after: "Sequence[Prober]" = ()) -> None:
        self.check, self.standing = check, CheckState(check)
        self.first = asyncio.Event()
        """Set once there is an answer."""
        self._after = after
        self._run: asyncio.Task[str | None] | None = None
        self._loop: asyncio.Task[None] | None = None
        self._place: SharedFile | None = None
        self._heard_at = -math.inf
        """When the last answer was given that was taken, here or elsewhere."""

    def start(self, place: SharedFile | None = None) -> None:
        """Begin to ask; in `place` are the answers of the other workers."""
        # What was known when the application stopped says nothing of this start.
        self.standing, self.first = CheckState(self.check), asyncio.Event()
        self._run, self._heard_at = None, -math.inf
        self._place = place
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
                self._heard_at = monotonic()
            else:
                await self._ask_or_hear(self._place)
            self.first.set()
            await asyncio.sleep(self._pause())

    def _pause(self) -> float:
        """Return how long to wait: until the answer that was taken is too old."""
        age = monotonic() - self._heard_at
        return max(0.0, self.standing.pause() * _jitter() - age)

    async def _ask_or_hear(self, place: SharedFile | None) -> None:
        heard = await self._hear(place) if place is not None else None
        if heard is None:
            heard = SharedResult(await self._ask(), monotonic())
            metrics.took(self.check.name, heard.result.seconds)
        self._heard_at = heard.at
        self._take(heard.result)

    async def _hear(self, place: SharedFile) -> SharedResult | None:
        """Return the answer of another worker, or ours for all; None where each is on its own."""
        for _ in range(_TURNS):
            if heard := self._young(place):
                return heard
            if not self._hangs:  # else let others try: it may be this process that is ill
                with place.turn() as mine:
                    if mine:
                        return self._young(place) or await self._ask_for_all(place)
            patience = self.check.timeout.total_seconds() + _LAST_SECONDS
            if heard := await place.hear(since=self._oldest, within=patience):
                return heard
        return None

    async def _ask_for_all(self, place: SharedFile) -> SharedResult:
        result = await self._ask()
        metrics.took(self.check.name, result.seconds)
        return place.write(result)

    def _young(self, place: SharedFile) -> SharedResult | None:
        """Return an answer that is new to us, and not yet too old."""
        found = place.read()
        return found if found is not None and found.at > self._oldest else None

    @property
    def _oldest(self) -> float:
        return max(self._heard_at, monotonic() - self.standing.pause() * (1 - _JITTER))

    @property
    def _hangs(self) -> bool:
        return self._run is not None and not self._run.done()

    def _blocked_by(self) -> str | None:
        failing = (other for other in self._after if other.standing.status == "fail")
        return next((other.check.name for other in failing), None)

    async def _ask(self) -> CheckResult:
        if self._hangs:
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

    def _answer(self, run: "asyncio.Task[str | None]", seconds: float) -> CheckResult:
        if run.cancelled():
            return self._result("fail", seconds, "it was cancelled")
        if error := run.exception():
            return self._result("fail", seconds, f"{type(error).__name__}: {error}")
        reason = run.result()
        return self._result("warn" if reason else "pass", seconds, reason)

    def _result(self, status: Status, seconds: float, reason: str | None) -> CheckResult:
        return CheckResult(status=status, at=datetime.now(UTC), seconds=seconds, reason=reason)

    def _take(self, result: CheckResult) -> None:
        changed = self.standing.hear(result)
        metrics.checked(self.check.name, self.standing.status)
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

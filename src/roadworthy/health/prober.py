"""`Prober`: run a check again and again, each time with a deadline.

If a server has several workers, one of them runs the check, and the others read its result.
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
from roadworthy.health.check import Check, CheckResult, Status
from roadworthy.health.check_state import CheckState
from roadworthy.health.shared_results import SharedFile, SharedResult

__all__ = ["Prober"]

log = logging.getLogger("roadworthy.health")

_JITTER: Final = 0.1
"""A random share of the pause, so that processes do not run a check all at once."""
_ROUNDS: Final = 2
"""How often to wait for another worker: twice, as the first may die in its run."""
_LAST_SECONDS: Final = 1.0
"""How long a cancelled run may take to end when the service stops."""


class Prober:
    """Run a check in the background; its results are recorded in `state`.

    Args:
        check: The check to run.
        after: The probers of the checks that have to pass before this one is run.
    """

    def __init__(self, check: Check, after: "Sequence[Prober]" = ()) -> None:
        self.check, self.state = check, CheckState(check)
        self.first = asyncio.Event()
        """Set when there is a first result."""
        self._after = after
        self._run: asyncio.Task[str | None] | None = None
        self._loop: asyncio.Task[None] | None = None
        self._file: SharedFile | None = None
        self._recorded_at = -math.inf
        """When the last recorded result was made, in this worker or in another."""

    def start(self, file: SharedFile | None = None) -> None:
        """Start to run the check; `file` holds the result that all workers share."""
        # A result from before the last stop says nothing about this start.
        self.state, self.first = CheckState(self.check), asyncio.Event()
        self._run, self._recorded_at = None, -math.inf
        self._file = file
        self._loop = asyncio.create_task(self._run_for_ever(), name=f"health: {self.check.name}")

    async def stop(self) -> None:
        """Stop running the check. A run that ignores its cancellation is left behind."""
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

    async def _run_for_ever(self) -> None:
        for other in self._after:
            await other.first.wait()
        while True:
            if failing := self._failing_before():
                self.state.skip(f"not checked: {failing} does not pass")
                self._recorded_at = monotonic()
            else:
                self._record(await self._result_of_any_worker())
            self.first.set()
            await asyncio.sleep(self._pause())

    def _failing_before(self) -> str | None:
        failing = (other for other in self._after if other.state.status == "fail")
        return next((other.check.name for other in failing), None)

    def _pause(self) -> float:
        """Return the seconds until the recorded result is too old."""
        age = monotonic() - self._recorded_at
        return max(0.0, self.state.pause() * _jitter() - age)

    async def _result_of_any_worker(self) -> SharedResult:
        """Return a result: a fresh one, that of a run for all workers, or our own."""
        if self._file is not None:
            for _ in range(_ROUNDS):
                result = (
                    self._fresh(self._file)
                    or await self._run_in_turn(self._file)
                    or await self._wait(self._file)
                )
                if result is not None:
                    return result
        return SharedResult(await self._run_measured(), monotonic())

    def _fresh(self, file: SharedFile) -> SharedResult | None:
        """Return the shared result if it is new to us, and not too old."""
        found = file.read()
        return found if found is not None and found.at > self._oldest else None

    async def _run_in_turn(self, file: SharedFile) -> SharedResult | None:
        """Run the check for all workers; None if another worker is running it."""
        if self._hangs:
            return None  # let others try: the fault may lie in this process
        with file.turn() as ours:
            if not ours:
                return None
            # Another worker may have finished since we looked.
            return self._fresh(file) or file.write(await self._run_measured())

    async def _wait(self, file: SharedFile) -> SharedResult | None:
        """Wait for the result of the worker that runs the check; None if there is none."""
        patience = self.check.timeout.total_seconds() + _LAST_SECONDS
        return await file.wait(since=self._oldest, within=patience)

    @property
    def _oldest(self) -> float:
        return max(self._recorded_at, monotonic() - self.state.pause() * (1 - _JITTER))

    @property
    def _hangs(self) -> bool:
        return self._run is not None and not self._run.done()

    async def _run_measured(self) -> CheckResult:
        result = await self._run_once()
        metrics.record_duration(self.check.name, result.seconds)
        return result

    async def _run_once(self) -> CheckResult:
        if self._hangs:
            return _result("fail", self.check.timeout.total_seconds(), "it still hangs")
        began = perf_counter()
        self._run = asyncio.ensure_future(_call(self.check))
        await asyncio.wait({self._run}, timeout=self.check.timeout.total_seconds())
        seconds = perf_counter() - began
        if not self._run.done():
            # Its end is not waited for: a driver that hangs does not obey.
            self._run.cancel()
            self._run.add_done_callback(_forget_exception)
            return _result("fail", seconds, f"no answer within {seconds:.1f} s")
        return _result_of(self._run, seconds)

    def _record(self, shared: SharedResult) -> None:
        self._recorded_at = shared.at
        changed = self.state.record(shared.result)
        metrics.record_status(self.check.name, self.state.status)
        # The first result is news unless it passes; a later one is where the status changes.
        is_news = changed if self.first.is_set() else shared.result.status != "pass"
        if is_news:
            self._log()

    def _log(self) -> None:
        name, status, reason = self.check.name, self.state.status, self.state.reason
        if status == "pass":
            log.info("%s passes", name)
        elif status == "warn":
            log.warning("%s is not well: %s", name, reason)
        else:
            log.error("%s fails: %s", name, reason)


def _jitter() -> float:
    return random.uniform(1 - _JITTER, 1)  # noqa: S311 - nobody has to be unable to guess it


async def _call(check: Check) -> str | None:
    return await check.run()


def _result_of(run: "asyncio.Task[str | None]", seconds: float) -> CheckResult:
    if run.cancelled():
        return _result("fail", seconds, "it was cancelled")
    if error := run.exception():
        return _result("fail", seconds, f"{type(error).__name__}: {error}")
    reason = run.result()
    return _result("warn" if reason else "pass", seconds, reason)


def _result(status: Status, seconds: float, reason: str | None) -> CheckResult:
    return CheckResult(status=status, at=datetime.now(UTC), seconds=seconds, reason=reason)


def _forget_exception(run: "asyncio.Task[str | None]") -> None:
    """Retrieve a late exception: the result was recorded when the time was up."""
    if not run.cancelled():
        run.exception()

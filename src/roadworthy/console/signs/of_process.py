"""The signs that this process knows by itself: its checks, and whether it is about to stop."""

from collections.abc import Iterator

from roadworthy.console.formats import length
from roadworthy.console.parts import Parts
from roadworthy.console.signs.sign import Sign
from roadworthy.health import Health
from roadworthy.health.check_state import CheckState

__all__ = ["signs"]


def signs(parts: Parts) -> list[Sign]:
    """Return the signs of the checks, and of a stop."""
    if parts.health is None:
        return []
    return [*_stopping(parts.health), *map(_of_check, parts.health.check_states)]


def _stopping(health: Health) -> Iterator[Sign]:
    if health.draining:
        yield Sign("this process", "stop", "is draining: it stops in a moment", "checks")


def _of_check(state: CheckState) -> Sign:
    about = f"check {state.check.name}"
    if state.status == "pass":
        return Sign(about, "good", f"passes, in {length(state.last.seconds)}", "checks")
    is_stop = state.status == "fail" and state.check.critical
    word = "fails" if state.status == "fail" else "is not well"
    reason = state.reason or "no reason was given"
    return Sign(about, "stop" if is_stop else "wait", f"{word}: {reason}", "checks")

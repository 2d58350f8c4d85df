"""`Watch`: one scheduled task, its schedule kept from harming others, and its row.

A schedule may be the application's own code. What it raises, or returns that is no time,
concerns its own task: it has no tick, the log says why, and it is asked again in a minute.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from roadworthy._internal.calendar import LAST, later, within
from roadworthy.jobs.durations import moment
from roadworthy.jobs.schedule import Schedule
from roadworthy.jobs.table.call import Call
from roadworthy.jobs.task import Task
from roadworthy.jobs.worker import logs
from roadworthy.jobs.worker.failures import describe, passes

__all__ = ["Mistaken", "Tick", "Watch"]

_AGAIN: Final = timedelta(minutes=1)
"""After which a schedule that failed is asked once more."""
_PATIENCE: Final = timedelta(minutes=1)
"""A tick that nobody has taken for so long is watched by nobody."""
_MAX_SPEC: Final = 200
_MAX_KEY: Final = 200


class Mistaken(Exception):
    """A schedule cannot be followed now; its cause says why."""


@dataclass(frozen=True, slots=True)
class Tick:
    """The row of a schedule: when a task is due by it."""

    key: str
    spec: str
    next_at: datetime
    ticks: int
    asked_at: datetime | None = None
    """When an operator asked for a run between two ticks."""
    paused: bool = False

    def is_abandoned(self, now: datetime) -> bool:
        """Return whether no process follows this schedule any more."""
        return later(self.next_at, _PATIENCE) < now


class Watch:
    """Know when a task is due, and which row says so.

    A row under the task's name belongs to one version of its schedule. While processes with
    another version are up, that has a row of its own, under `own_key`: each version moves
    its own row, and neither can make the other's ticks fail to come.
    """

    def __init__(self, task: Task[...], schedule: Schedule) -> None:
        self.task, self.name = task, task.name
        self._schedule = schedule
        self._spec: str | None = None
        self.remembered: datetime | None = None
        """When the next tick is, as far as this process knows: its row may be lost."""
        self._ask_at: datetime | None = None
        self._told: str | None = None

    def spec(self) -> str:
        """Return the text that tells this schedule from others, as its row has it.

        Raises:
            Mistaken: The schedule cannot tell it.
        """
        if self._spec is None:
            try:
                self._spec = _stored(self._schedule.spec)
            except BaseException as error:
                _pass_on(error)
                raise Mistaken from error
        return self._spec

    def own_key(self) -> str:
        """Return the name of the row that no other version of the schedule has."""
        digest = sha256(f"{self.name}\0{self.spec()}".encode()).hexdigest()
        return f"{self.name[: _MAX_KEY - len(digest) - 1]}#{digest}"

    def row_of(self, rows: Mapping[str, Tick]) -> Tick | None:
        """Return the row of this schedule."""
        plain = rows.get(self.name)
        if plain is not None and plain.spec == self.spec():
            return plain
        return rows.get(self.own_key())

    def after(self, now: datetime) -> datetime:
        """Return the next time, in UTC.

        Raises:
            Mistaken: The schedule raised, or returned no time to come.
        """
        try:
            told = _to_come(self._schedule.after(now), now)
        except BaseException as error:
            _pass_on(error)
            raise Mistaken from error
        self._told = self._ask_at = None
        return told

    async def after_or_never(self, now: datetime) -> datetime:
        """Return the next time; the end of the calendar where the schedule fails."""
        try:
            return self.after(now)
        except Mistaken as mistaken:
            await self.fail(mistaken, now)
            return LAST

    def call(self) -> Call:
        """Return the job of a tick.

        Raises:
            Mistaken: The task cannot be called without arguments.
        """
        try:
            return self.task.call()
        except BaseException as error:
            _pass_on(error)
            raise Mistaken from error

    def rests(self, now: datetime) -> bool:
        """Return whether the schedule has failed, and is not asked yet."""
        return self._ask_at is not None and now < self._ask_at

    def has_failed(self) -> bool:
        """Return whether the schedule failed when it was asked last."""
        return self._ask_at is not None

    async def fail(self, mistaken: BaseException, now: datetime) -> datetime:
        """Say once why there is no tick; return when to ask again."""
        self._ask_at = later(now, _AGAIN)
        told = await describe(mistaken.__cause__ or mistaken)
        if told.failure.text != self._told:
            self._told = told.failure.text
            logs.schedule_failed(self.name, told)
        return self._ask_at


def _to_come(told: object, now: datetime) -> datetime:
    time = within(moment(told, "what after(moment) returns"))
    if time <= now:
        raise ValueError(f"after({now.isoformat()}) returned {told!r}, which is over.")
    return time


def _stored(spec: object) -> str:
    if not isinstance(spec, str):
        raise TypeError(f"spec is {spec!r}, and has to be a text that differs where times do.")
    if len(spec) <= _MAX_SPEC and "\0" not in spec and not any(map(_is_half, spec)):
        return spec
    return f"sha256 {sha256(spec.encode(errors='surrogatepass')).hexdigest()}"


def _is_half(character: str) -> bool:
    return "\ud800" <= character <= "\udfff"


def _pass_on(error: BaseException) -> None:
    if passes(error):
        raise error

"""`Cron` and `Every`: when a scheduled task is due."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from roadworthy._internal.calendar import LAST, later
from roadworthy._internal.durations import duration

__all__ = ["Cron", "Every", "Schedule", "is_schedule"]


_FIELDS: Final = 5


class Schedule(Protocol):
    """When to run a task, for `@task(schedule=...)`."""

    @property
    def spec(self) -> str:
        """A text that changes when the schedule does."""
        ...

    def after(self, moment: datetime) -> datetime:
        """Return the first time after `moment`."""
        ...


def is_schedule(given: object) -> bool:
    """Return whether a value has `after(moment)` and a text `spec`, as schedules do."""
    if isinstance(given, type) or not callable(getattr(given, "after", None)):
        return False
    try:
        return isinstance(getattr(given, "spec", None), str)
    except Exception:  # code of the application
        return False


@dataclass(frozen=True, slots=True)
class Every:
    """Run once in each `interval`, counted from midnight of 1970 in UTC.

    So all processes agree on the times, and a restart does not move them.
    """

    interval: timedelta

    def __post_init__(self) -> None:
        duration(self.interval, "interval", example="timedelta(minutes=5)")
        if self.interval < timedelta(seconds=1):
            raise ValueError("Every takes a second or more, such as Every(timedelta(minutes=5)).")

    @property
    def spec(self) -> str:
        """`every 300 s`."""
        return f"every {self.interval.total_seconds():.15g} s"

    def after(self, moment: datetime) -> datetime:
        """Return the end of the interval that contains `moment`."""
        start = datetime(1970, 1, 1, tzinfo=UTC)
        try:
            return later(start, ((moment - start) // self.interval + 1) * self.interval)
        except OverflowError:  # longer than a duration can be
            return LAST


@dataclass(frozen=True, slots=True)
class Cron:
    """Run at the times of a cron expression: `Cron("0 3 * * *", zone="UTC")`.

    The five fields are minute, hour, day of the month, month and day of the week, with names,
    ranges, steps, `L` and `#` as in Debian's cron. When the clocks change, a fixed time that
    does not exist runs just after, and one that exists twice runs once.

    If both days are restricted, one of them is enough, as in cron: `0 0 13 * FRI` is each 13th
    and each Friday. With `days="and"` both have to fit, as in Celery's `crontab`: Friday the
    13th. If one of the two begins with `*`, both have to fit in any case.
    """

    expression: str
    zone: str = "UTC"
    days: Literal["or", "and"] = "or"

    def __post_init__(self) -> None:
        for name, example in (("expression", "0 3 * * *"), ("zone", "Europe/Berlin")):
            if not isinstance(given := getattr(self, name), str):
                raise TypeError(f"{name} of Cron is {given!r}, and has to be a text: {example!r}.")
        if len(self.expression.split()) != _FIELDS:  # cronsim takes seconds, too
            raise self._never()
        if self.days not in ("or", "and"):
            raise ValueError(f"days is {self.days!r}, and has to be 'or', as in cron, or 'and'.")
        self.after(datetime.now(UTC))

    @property
    def spec(self) -> str:
        """`0 3 * * * Europe/Berlin`."""
        joined = "" if self.days == "or" else " days=and"
        return f"{self.expression} {self.zone}{joined}"

    def after(self, moment: datetime) -> datetime:
        """Return the first time after `moment`, in UTC.

        Raises:
            ValueError: The expression or the zone is not valid.
            ModuleNotFoundError: cronsim is not installed.
        """
        try:
            import cronsim  # noqa: PLC0415 - an extra: only who uses Cron needs it
        except ModuleNotFoundError as missing:
            needs = "Cron needs cronsim: pip install 'roadworthy[jobs]'"
            raise ModuleNotFoundError(needs) from missing
        try:
            local = moment.astimezone(ZoneInfo(self.zone))
            simulated = cronsim.CronSim(self.expression, local)
            simulated.day_and = simulated.day_and or self.days == "and"
            times = (time.astimezone(UTC) for time in simulated)
            # In an hour that comes twice, cronsim begins with the first, which is over.
            return next(time for time in times if time > moment)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(
                f"{self.zone!r} is no time zone. Name one such as 'Europe/Berlin'; where the "
                "system has none: pip install tzdata."
            ) from error
        except (cronsim.CronSimError, StopIteration) as error:
            raise self._never() from error

    def _never(self) -> ValueError:
        return ValueError(
            f"{self.expression!r} is no time that ever comes. Write minute, hour, day, month "
            "and day of the week, such as '0 3 * * *' for 3 o'clock every night."
        )

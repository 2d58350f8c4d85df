"""`Filters`: which jobs a page shows, as its URL and its forms say it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from roadworthy.jobs import State
from roadworthy.jobs.operations import JobFilter

__all__ = ["STATES", "Filters"]

STATES: Final = (*(state.value for state in State), "retrying")
"""What can be chosen."""
_TEXTS: Final = ("task", "queue", "error_code", "request_id", "text")
_TIMES: Final = ("after", "before")
_MOST: Final = 200


@dataclass(frozen=True, slots=True)
class Filters:
    """What was chosen: as it was typed, and as it is understood."""

    typed: Mapping[str, str]
    """By the names of the form; what is empty is not in it."""
    meant: JobFilter
    mistakes: tuple[str, ...]
    """What was not understood, each in a sentence: then nothing is looked for."""

    @property
    def rare(self) -> bool:
        """Whether there is one of those that few look for."""
        return bool({*self.typed} - {"state", "task", "queue"})

    @classmethod
    def of(cls, given: Mapping[str, str], **fixed: str) -> "Filters":
        """Read filters from a query or a form; `fixed` are the page's own."""
        names = ("state", *_TEXTS, *_TIMES)
        found = {name: given.get(name, "").strip() for name in names} | fixed
        typed = {name: value for name, value in found.items() if value}
        mistakes = [*_mistakes(typed)]
        times = {name: _time(typed.get(name, "")) for name in _TIMES}
        mistakes += [
            f"{name} is no time: write 2026-01-31T12:00, in UTC."
            for name in _TIMES
            if name in typed and times[name] is None
        ]
        if mistakes:
            return cls(typed, JobFilter(), tuple(mistakes))
        texts = {name: typed[name] for name in ("state", *_TEXTS) if name in typed}
        after, before = (times[name] for name in _TIMES)
        meant = JobFilter(**texts, enqueued_after=after, enqueued_before=before)
        return cls(typed, meant, ())


def _mistakes(typed: Mapping[str, str]) -> list[str]:
    found = [
        f"{name} has {len(value)} characters, and may have {_MOST}."
        for name, value in typed.items()
        if len(value) > _MOST
    ]
    # Neither database stores a NUL, and PostgreSQL takes none.
    found += [f"{name} has a NUL character." for name, value in typed.items() if "\0" in value]
    if typed.get("state", STATES[0]) not in STATES:
        found.append(f"There is no such state: choose one of {', '.join(STATES)}.")
    return found


def _time(text: str) -> datetime | None:
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)

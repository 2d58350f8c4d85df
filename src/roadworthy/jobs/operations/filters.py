"""`JobFilter`: which jobs an operator means, as conditions of a statement."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, or_
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from roadworthy.jobs.table.moves import in_state
from roadworthy.jobs.table.states import WAITING, State
from roadworthy.jobs.table.tables import table

__all__ = ["Columns", "JobFilter"]

Columns: TypeAlias = ReadOnlyColumnCollection[str, Any]
"""The columns of the table of jobs, or of a part of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs are meant; what is None does not count.

    Args:
        state: One of the states, or `"retrying"`: those that wait and were tried before.
        task: The name of a task.
        queue: The name of a queue.
        error_code: The code of the last failed attempt, such as `"WORKER_LOST"`.
        request_id: The id of the request that enqueued them.
        enqueued_after: Enqueued at this time or later, with a zone.
        enqueued_before: Enqueued before this time, with a zone.
        text: A text in the stored arguments, in upper or lower case.
    """

    state: str | None = None
    task: str | None = None
    queue: str | None = None
    error_code: str | None = None
    request_id: str | None = None
    enqueued_after: datetime | None = None
    enqueued_before: datetime | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        """Refuse a state that there is not, and times without a zone."""
        if self.state not in {None, "retrying", *State}:
            known = ", ".join(f'"{state}"' for state in State)
            raise ValueError(f'There is no state {self.state!r}: write "retrying", {known}.')
        for name in ("enqueued_after", "enqueued_before"):
            moment: datetime | None = getattr(self, name)
            if moment is not None and moment.tzinfo is None:
                raise ValueError(f"{name} needs a zone: datetime(2026, 1, 31, tzinfo=UTC).")

    def chosen(self) -> dict[str, str]:
        """Return what was chosen, as text: for the record of an action."""
        return {name: str(value) for name, value in asdict(self).items() if value is not None}

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the conditions, all of which a job has to meet."""
        return [*self.conditions_but_state(table.c), *self._in_state()]

    def conditions_but_state(self, columns: Columns) -> list[ColumnElement[bool]]:
        """Return all conditions but that of the state, on these columns of the table."""
        names = ("task", "queue", "error_code", "request_id")
        found = [columns[name] == getattr(self, name) for name in names if getattr(self, name)]
        if self.enqueued_after is not None:
            found.append(columns["enqueued_at"] >= self.enqueued_after)
        if self.enqueued_before is not None:
            found.append(columns["enqueued_at"] < self.enqueued_before)
        if self.text:
            found.append(_contains(columns["arguments"], self.text))
        return found

    def _in_state(self) -> list[ColumnElement[bool]]:
        if self.state is None:
            return []
        if self.state == "retrying":
            return [in_state(*WAITING), table.c.attempts > 0]
        return [in_state(State(self.state))]  # it is written into the statement


def _contains(arguments: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """Return the condition that the arguments have this text, in upper or lower case."""
    stored = text.replace('": ', '":').replace(', "', ',"')  # without blanks, as JSON is stored
    spellings = sorted({text, stored})
    return or_(*(arguments.icontains(one, autoescape=True) for one in spellings))

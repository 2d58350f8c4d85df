"""`JobFilter`: which jobs an operator means, as conditions of a statement."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, select

from roadworthy.jobs.table.moves import in_state
from roadworthy.jobs.table.states import WAITING, State
from roadworthy.jobs.table.tables import table

__all__ = ["JobFilter"]

LOOKED_AT: Final = 10_000
"""Jobs whose arguments are searched for a text: the newest of those that fit the rest."""
_ESCAPE: Final = "\\"


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
        text: A text in the stored arguments, looked for in the newest 10,000 jobs that fit
            everything else.
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
        found = self._plain()
        if self.text:
            found.append(table.c.id.in_(self._with_text(found)))
        return found

    def _plain(self) -> list[ColumnElement[bool]]:
        same = (self.task, self.queue, self.error_code, self.request_id)
        columns = (table.c.task, table.c.queue, table.c.error_code, table.c.request_id)
        found: list[ColumnElement[bool]] = [
            column == value for column, value in zip(columns, same, strict=True) if value
        ]
        if self.enqueued_after is not None:
            found.append(table.c.enqueued_at >= self.enqueued_after)
        if self.enqueued_before is not None:
            found.append(table.c.enqueued_at < self.enqueued_before)
        return [*found, *self._in_state()]

    def _in_state(self) -> list[ColumnElement[bool]]:
        if self.state is None:
            return []
        if self.state == "retrying":
            return [in_state(*WAITING), table.c.attempts > 0]
        return [in_state(State(self.state))]  # it is written into the statement

    def _with_text(self, others: list[ColumnElement[bool]]) -> Select[tuple[Any]]:
        newest = (
            select(table.c.id, table.c.arguments)
            .where(*others)
            .order_by(table.c.id.desc())
            .limit(LOOKED_AT)
            .subquery()
        )
        within = newest.c.arguments.like(f"%{_literal(self.text or '')}%", escape=_ESCAPE)
        return select(newest.c.id).where(within)


def _literal(text: str) -> str:
    """Return a text in which no character stands for others in LIKE."""
    for special in (_ESCAPE, "%", "_"):
        text = text.replace(special, _ESCAPE + special)
    return text

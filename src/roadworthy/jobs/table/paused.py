"""`is_paused`: the SQL condition that a queue, task or schedule is paused."""

from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, exists, func, literal, or_, select

from roadworthy.jobs.table.tables import pauses, schedules

__all__ = ["Pausable", "is_paused", "schedule_is_paused"]

Pausable: TypeAlias = Literal["queue", "task", "schedule"]
"""What can be paused; a schedule goes by the name of its task."""


def is_paused(kind: Pausable, name: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the SQL condition that the queue, task or schedule `name` is paused."""
    return exists(select(literal(1)).where(pauses.c.kind == kind, pauses.c.name == name))


def schedule_is_paused() -> ColumnElement[bool]:
    """Return the condition that a row of `schedules` is of a paused task.

    While two versions of a schedule are up, one has a row called `task#digest`.
    """
    own = func.substr(schedules.c.task, 1, func.length(pauses.c.name) + 1) == pauses.c.name + "#"
    same = or_(schedules.c.task == pauses.c.name, own)
    return exists(select(literal(1)).where(pauses.c.kind == "schedule", same))

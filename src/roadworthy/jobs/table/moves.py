"""How statements name states, and how a move of `states` becomes one."""

from typing import Any

from sqlalchemy import ColumnElement, Update, case, func, literal_column, update

from roadworthy.jobs.table.states import TRANSITIONS, State
from roadworthy.jobs.table.tables import table

__all__ = ["in_state", "kept_key", "moved", "target_of"]


def in_state(*states: State) -> ColumnElement[bool]:
    """Return the condition that a job is in one of these states."""
    # Literal, because neither database would use a partial index for a parameter, and one
    # state as the index has it.
    literals: list[ColumnElement[Any]] = [literal_column(f"'{state}'") for state in states]
    return table.c.state == literals[0] if len(literals) == 1 else table.c.state.in_(literals)


def moved(move: str) -> Update:
    """Return the UPDATE that makes a move, of every job that can make it."""
    return update(table).where(in_state(*TRANSITIONS[move].source)).values(state=target_of(move))


def kept_key() -> ColumnElement[str | None]:
    """Return what `unique_of` is after a move that takes the unique key away.

    Processes from before that column enqueue without it, while both versions are up.
    """
    return func.coalesce(table.c.unique_of, table.c.unique_key)


def target_of(move: str) -> Any:
    """Return the value of the state after a move.

    A job with a limit that would be queued again is blocked: it asks for its place anew.
    """
    target = TRANSITIONS[move].target
    if target is not State.QUEUED or move == "admit":
        return target
    blocked = TRANSITIONS["admit"].source[0]
    return case((table.c.limit_key.is_(None), target.value), else_=blocked.value)

"""What operators have done: one row an action, written with what it did."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

from roadworthy._internal.ids import new_id
from roadworthy._sqlalchemy.transactions import connection_of, to_await
from roadworthy.jobs.operations.arguments import name_of_operator
from roadworthy.jobs.table import clock
from roadworthy.jobs.table.tables import actions, utc
from roadworthy.problems import request_id

__all__ = ["Action", "note", "note_sync", "recent"]

Here: TypeAlias = AsyncSession | AsyncConnection
_MAX_WHAT: Final = 50


@dataclass(frozen=True, slots=True)
class Action:
    """One action of an operator; the time is in UTC."""

    at: datetime
    who: str
    what: str
    target: Mapping[str, str]
    """What it was done to: a name, an id, or the filter."""
    jobs: int
    """How many jobs were changed."""
    request_id: str | None


async def note(
    session: Here, what: str, target: Mapping[str, str], *, by: str, jobs: int = 0
) -> None:
    """Write down an action, in the transaction that does it."""
    await to_await(session, "operations.note").run_sync(
        lambda tx: note_sync(tx, what, target, by=by, jobs=jobs)
    )


def note_sync(
    tx: Session | Connection, what: str, target: Mapping[str, str], *, by: str, jobs: int
) -> None:
    """Write down an action where nothing is awaited."""
    row = {"id": new_id(), "at": clock.now(), "who": name_of_operator(by), "jobs": jobs}
    row |= {"what": what[:_MAX_WHAT], "target": json.dumps(dict(target)), "request_id": _asked()}
    connection_of(tx).execute(insert(actions).values(row))


async def recent(session: Here, *, limit: int = 100) -> list[Action]:
    """Return the last actions, the newest first."""
    rows = select(actions).order_by(actions.c.at.desc(), actions.c.id.desc()).limit(limit)
    here = to_await(session, "operations.recent")
    return await here.run_sync(lambda tx: [_action(row) for row in connection_of(tx).execute(rows)])


def _asked() -> str | None:
    return request_id() or None


def _action(row: Any) -> Action:
    target = json.loads(row.target)
    return Action(utc(row.at), row.who, row.what, target, row.jobs, row.request_id)

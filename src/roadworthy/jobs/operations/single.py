"""Change one job as an operator: what `roadworthy.jobs` does, written down.

async with db.begin() as tx:
    await operations.retry(tx, job_id, by="ana")
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

from roadworthy._sqlalchemy.transactions import to_await
from roadworthy.jobs.operations.actions import note_sync
from roadworthy.jobs.operations.arguments import name_of_operator
from roadworthy.jobs.operations.bulk import DISMISSED
from roadworthy.jobs.table import records
from roadworthy.jobs.table.tables import table

__all__ = ["cancel", "dismiss", "retry"]

Here: TypeAlias = AsyncSession | AsyncConnection
Change: TypeAlias = Callable[[Any, str], bool]


async def retry(session: Here, id: str, *, by: str) -> bool:  # noqa: A002 - the field's word
    """Queue a dead, cancelled or parked job again; return False where it is none of these.

    As `jobs.retry`, with the action in the same transaction.

    Raises:
        ValueError: `by` is empty.
    """
    return await _do(session, "retry", records.retry_one, id, by)


async def cancel(session: Here, id: str, *, by: str) -> bool:  # noqa: A002
    """Cancel a job that waits, or stop one that runs; return False where it has ended.

    As `jobs.cancel`, with the action in the same transaction.

    Raises:
        ValueError: `by` is empty.
    """
    return await _do(session, "cancel", records.cancel_one, id, by)


async def dismiss(session: Here, id: str, *, by: str) -> bool:  # noqa: A002
    """Put a dead or parked job away as cancelled, with the code `DISMISSED`.

    Return False where it is neither. It can be retried until it is swept away.

    Raises:
        ValueError: `by` is empty.
    """
    return await _do(session, "dismiss", _dismiss, id, by)


async def _do(session: Here, what: str, change: Change, id_: str, by: str) -> bool:
    here, by = to_await(session, f"operations.{what}"), name_of_operator(by)

    def done(tx: Session | Connection) -> bool:
        if not change(tx, id_):
            return False
        note_sync(tx, what, {"job": id_}, by=by, jobs=1)
        return True

    return await here.run_sync(done)


def _dismiss(tx: Session | Connection, id_: str) -> bool:
    return records.change(tx, records.ending("dismiss", DISMISSED).where(table.c.id == id_)) == 1

"""The background tasks of users."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from depot.users.rows import ActionRow
from roadworthy.jobs import Backoff, Job, task

__all__ = ["record_action"]


@task(
    name="users.record_action",
    attempts=20,
    backoff=Backoff(first=timedelta(seconds=1), factor=2, most=timedelta(minutes=15)),
    timeout=timedelta(minutes=1),
)
async def record_action(
    job: Job, tx: AsyncSession, user_id: str, action: str, at: datetime
) -> None:
    """Write an action into the audit log, in the transaction that completes the job: once."""
    tx.add(
        ActionRow(
            id=job.id,
            user_id=user_id,
            action=action,
            at=at,
            request_id=job.request_id or "-",
        )
    )

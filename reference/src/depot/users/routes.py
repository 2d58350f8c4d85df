"""The endpoints of users."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response

from depot import headers, times
from depot.cursor import Cursor
from depot.jobs import header
from depot.users import log
from depot.users.models import ActionPage, Completed, NewAction, UserId
from depot.users.tasks import record_action
from roadworthy.database import Read, Tx
from roadworthy.idempotency import Idempotency

__all__ = ["router"]

router = APIRouter(prefix="/users", tags=["users"])
once = Idempotency(Tx, ttl=timedelta(hours=24))


@router.post(
    "/{user_id}/actions", responses=headers.documented(200, header.NAME), dependencies=[once.key]
)
async def add_action(user_id: UserId, new: NewAction, tx: Tx, response: Response) -> Completed:
    """Accept what a user did; a job writes it into the audit log, however slow that is."""
    job = await record_action.enqueue(tx, user_id=user_id, action=new.action, at=times.now())
    header.add(response, job)
    return Completed()


@router.get("/{user_id}/actions")
async def list_actions(
    user_id: UserId,
    read: Read,
    after: Cursor,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ActionPage:
    """List what a user did, the newest first; a user of whom nothing is known did nothing."""
    return await log.page(read, user_id, limit=limit, after=after)

"""The endpoints of the inventory."""

from typing import Annotated

from fastapi import APIRouter, Query, Response, status
from sqlalchemy.exc import IntegrityError

from depot import headers, times
from depot.cursor import Cursor
from depot.inventory import items
from depot.inventory.models import Item, ItemPage, NewItem
from depot.inventory.problems import ItemExists, ItemNotFound
from depot.inventory.rows import ItemRow
from roadworthy import patching, problems
from roadworthy.conditional import (
    IfMatch,
    IfNoneMatch,
    PreconditionRequired,
    RequiredIfMatch,
    set_etag,
)
from roadworthy.database import Read, ReadLatest, Tx
from roadworthy.patching import AnyPatch, Patch

__all__ = ["guarded", "require_if_match", "router"]

router = APIRouter(prefix="/inventory", tags=["inventory"])
guarded = APIRouter(prefix="/inventory", tags=["inventory"])
"""The routes that change an item: settings may want If-Match for them.

Its document tells of 428 either way: clients are made of one, and meet each configuration.
"""


async def require_if_match(match: RequiredIfMatch) -> None:
    """Refuse a change that does not say which version it is meant for (428)."""


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses={
        **headers.documented(status.HTTP_201_CREATED, "Location", "ETag"),
        **problems.responses(ItemExists),
    },
)
async def add_item(item: NewItem, tx: Tx, response: Response) -> Item:
    """Add an item, with the id that is given or a new one."""
    now = times.now()
    row = ItemRow(**item.model_dump(), created_at=now, updated_at=now)
    tx.add(row)
    try:
        await tx.flush()
    except IntegrityError as error:
        # The model has checked all else that the table wants.
        raise ItemExists from error
    response.headers["Location"] = f"/inventory/{row.id}"
    set_etag(response, row.version)
    return Item.model_validate(row)


@router.get("")
async def list_items(
    read: Read,
    after: Cursor,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    is_active: bool | None = None,
) -> ItemPage:
    """List items, the newest first; items added meanwhile do not disturb the pages."""
    return await items.page(read, limit=limit, after=after, is_active=is_active)


@router.head("/{item_id}", include_in_schema=False)
@router.get("/{item_id}", responses=problems.responses(ItemNotFound))
async def read_item(item_id: str, none_match: IfNoneMatch, read: ReadLatest) -> Item:
    """Return one item."""
    row = await items.find(read, item_id)
    none_match.check(row.version)
    return Item.model_validate(row)


@guarded.patch("/{item_id}", responses=problems.responses(ItemNotFound, PreconditionRequired))
async def change_item(
    item_id: str,
    patch: Annotated[Patch[Item], AnyPatch],
    match: IfMatch,
    tx: Tx,
    response: Response,
) -> Item:
    """Change the fields that are sent; a patch that changes nothing keeps the ETag."""
    row = await items.lock(tx, item_id)
    change = patching.apply(patch, Item.model_validate(row))
    match.check(row.version)
    for name, value in change.values.items():
        setattr(row, name, value)
    await tx.flush()
    set_etag(response, row.version)
    return Item.model_validate(row)


@guarded.delete(
    "/{item_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems.responses(ItemNotFound, PreconditionRequired),
)
async def delete_item(item_id: str, match: IfMatch, tx: Tx) -> None:
    """Delete an item; orders and the ledger keep what was sold of it."""
    row = await items.lock(tx, item_id)
    match.check(row.version)
    await tx.delete(row)

"""Partial updates that keep what they do not name (RFC 7396, RFC 6902, RFC 5789).

@router.patch("/inventory/{item_id}")
async def update(item_id: str, patch: Annotated[Patch[Item], MergePatch], tx: Tx) -> Item:
    row = await locked(tx, item_id)                            # SELECT ... FOR UPDATE
    change = patching.apply(patch, Item.model_validate(row))   # 422 before any write
    await tx.execute(update_of(item_id).values(**change.values))
    return change.after
"""

from typing import Any

from pydantic import BaseModel

from roadworthy.patching import openapi_bodies
from roadworthy.patching.body import AnyPatch, MergePatch, PatchBody, advertise
from roadworthy.patching.change import Change, apply
from roadworthy.patching.entity import is_patch
from roadworthy.patching.errors import EmptyPatch, PatchTestFailed
from roadworthy.patching.fields import ReadOnly
from roadworthy.patching.merge_patch import merge
from roadworthy.patching.patch import Patch
from roadworthy.patching.read import parse

__all__ = [
    "AnyPatch",
    "Change",
    "EmptyPatch",
    "MergePatch",
    "Patch",
    "PatchBody",
    "PatchTestFailed",
    "ReadOnly",
    "advertise",
    "apply",
    "merge",
    "openapi",
    "parse",
]


def openapi(entity: type[BaseModel], body: PatchBody = MergePatch) -> dict[str, Any]:
    """Return the `openapi_extra=` of a route, for want of `problems.install`."""
    kind: Any = entity
    return openapi_bodies.inline(
        kind if is_patch(kind) else Patch[kind], body.media_types, allow_empty=body.allow_empty
    )

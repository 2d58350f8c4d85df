"""Partial updates that keep what they do not name (RFC 7396, RFC 6902, RFC 5789).

    @router.patch("/inventory/{item_id}")
    async def update(item_id: str, patch: Annotated[Patch[Item], MergePatch], tx: Tx) -> Item:
        row = await locked(tx, item_id)                            # SELECT ... FOR UPDATE
        change = patching.apply(patch, Item.model_validate(row))   # 422 before any write
        await tx.execute(update_of(item_id).values(**change.values))
        return change.after

A patch names the fields to change. Other fields are neither checked nor written.
"""

from roadworthy.patching.body.patch_body import AnyPatch, MergePatch, PatchBody, advertise, openapi
from roadworthy.patching.body.read import parse
from roadworthy.patching.change import Change, apply
from roadworthy.patching.errors import EmptyPatch, PatchTestFailed
from roadworthy.patching.merge_patch import merge
from roadworthy.patching.patch import Patch
from roadworthy.patching.schema.fields import ReadOnly

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

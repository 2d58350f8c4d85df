"""The problems that only partial updates have: `EmptyPatch`, `PatchTestFailed`."""

from roadworthy.problems import Problem

__all__ = ["EmptyPatch", "PatchTestFailed"]


class EmptyPatch(Problem):
    """The patch names no field: `{}`, or a JSON Patch without operations."""

    status = 400
    title = "Empty patch"
    detail = "The patch names no field."


class PatchTestFailed(Problem):
    """A `test` of the JSON Patch fails: nothing was changed (RFC 5789 §2.2)."""

    status = 409
    title = "Patch test failed"
    detail = "A test operation of the patch does not hold for the resource as it is now."

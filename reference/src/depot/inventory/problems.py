"""The problems of items."""

from roadworthy.problems import Problem

__all__ = ["ItemExists", "ItemNotFound"]


class ItemNotFound(Problem):
    """No item has this id."""

    status = 404
    title = "Item not found"
    detail = "There is no such item."


class ItemExists(Problem):
    """The id is taken by another item."""

    status = 409
    title = "Item exists"
    detail = "There is an item with this id already."

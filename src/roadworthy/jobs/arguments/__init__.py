"""A task's arguments: how they are checked, stored, compared and read again."""

__all__: list[str] = []

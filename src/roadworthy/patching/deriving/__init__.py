"""Make `Patch[Item]` of `Item`, and check the fields that a subclass declares."""

__all__: list[str] = []

"""Merge a patch with the object that is there, and validate what was sent."""

__all__: list[str] = []

"""Stored files on their way to clients: headers, ranges and disposition."""

__all__: list[str] = []

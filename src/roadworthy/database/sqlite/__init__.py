"""SQLite: one writer in a fair queue, readers, and commits that share a sync."""

__all__: list[str] = []

"""Read source: what its names lead to, and what was found out about them once."""

__all__: list[str] = []

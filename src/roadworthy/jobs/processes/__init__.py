"""A pool of worker processes for tasks that use the processor."""

__all__: list[str] = []

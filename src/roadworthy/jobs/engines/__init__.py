"""Engines for workers of others: each is a module, and needs an extra."""

__all__: list[str] = []

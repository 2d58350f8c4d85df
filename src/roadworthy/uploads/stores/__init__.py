"""Where files are kept: each store in a file of its own."""

__all__: list[str] = []

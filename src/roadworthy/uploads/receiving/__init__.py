"""A request body on its way into the store: parts, fields, files and limits."""

__all__: list[str] = []

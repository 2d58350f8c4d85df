"""RFC 6902: operations on the JSON of a resource, and their outcome as values."""

__all__: list[str] = []

"""RFC 6902: operations on the JSON of a resource, and what they leave of its values."""

__all__: list[str] = []

"""Python values of an entity: their JSON, their copies, and what no row can store."""

__all__: list[str] = []

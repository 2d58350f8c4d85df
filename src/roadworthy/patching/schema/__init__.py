"""What Pydantic's core schema says of a class: nodes, fields, names and types."""

__all__: list[str] = []

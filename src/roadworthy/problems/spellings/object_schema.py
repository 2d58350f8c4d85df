"""The JSON Schema of an object that always has all its members."""

from typing import Any, TypeAlias

__all__ = ["Schema", "object_schema"]

Schema: TypeAlias = dict[str, Any]
"""A JSON Schema, or an object of an OpenAPI document."""


def object_schema(**properties: Schema) -> Schema:
    """Return the schema of an object with these properties, all of them required."""
    return {"type": "object", "properties": properties, "required": list(properties)}

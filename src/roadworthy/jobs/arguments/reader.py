"""`Reader`: read arguments as they were when enqueued, however long ago."""

from typing import Any, cast

from pydantic import TypeAdapter
from pydantic_core import CoreSchema, SchemaValidator

__all__ = ["Reader"]


class Reader:
    """Read the JSON of arguments, by the names of fields or by their aliases.

    What has to be in the future or the past was looked at when it was enqueued, and is
    not looked at again: it would be dead by the time that it is run.
    """

    def __init__(self, stored: TypeAdapter[dict[str, Any]]) -> None:
        self._stored = stored
        schema = stored.core_schema
        timeless = _timeless(schema)
        # Without validators that classes have made before: those still ask for the time.
        self._timeless = (
            None
            if timeless is schema
            else SchemaValidator(cast("CoreSchema", timeless), _use_prebuilt=False)
        )

    def read(self, text: str) -> dict[str, Any]:
        """Return the arguments.

        Raises:
            ValidationError: They do not fit the parameters as they are now.
        """
        if self._timeless is None:
            return self._stored.validate_json(text, by_alias=True, by_name=True)
        read: dict[str, Any] = self._timeless.validate_json(text, by_alias=True, by_name=True)
        return read


def _timeless(schema: Any) -> Any:
    """Return a schema without constraints that depend on the time."""
    if isinstance(schema, dict):
        return _timeless_dict(cast("dict[Any, Any]", schema))
    if isinstance(schema, list | tuple):
        members = cast("list[Any] | tuple[Any, ...]", schema)
        changed = [_timeless(member) for member in members]
        if all(new is old for new, old in zip(changed, members, strict=True)):
            return members
        return type(members)(changed)
    return schema


def _timeless_dict(schema: dict[Any, Any]) -> dict[Any, Any]:
    drop = "now_op" if schema.get("type") in {"date", "datetime"} else None
    changed = {key: _timeless(value) for key, value in schema.items() if key != drop}
    same = changed.keys() == schema.keys() and all(changed[key] is schema[key] for key in changed)
    return schema if same else changed

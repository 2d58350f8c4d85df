"""Refuse decimals in strings that are no digits: `Decimal` takes `" 5 "`."""

import re
from decimal import Decimal
from typing import Any, Final, cast

from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema

from roadworthy.patching.schema.nodes import Schema, any_node, mapped

__all__ = ["in_digits"]

_DIGITS: Final = re.compile(r"-?[0-9]{1,100}(\.[0-9]{1,100})?")


def in_digits(node: Schema) -> Schema:
    """Return a node that takes decimals as numbers, or as strings of digits only."""
    if not any_node(node, lambda inside: inside["type"] == "decimal"):
        return node
    if node["type"] == "decimal":
        made = core_schema.no_info_before_validator_function(_decimal, cast("CoreSchema", node))
        return cast("Schema", made) | ({"ref": node["ref"]} if "ref" in node else {})
    return mapped(node, in_digits)


def _decimal(value: Any) -> Any:
    # After a function Pydantic takes only a Decimal, where it is strict.
    if isinstance(value, Decimal):
        return value  # a validator of the entity's made it
    if isinstance(value, str):
        if not _DIGITS.fullmatch(value):
            raise PydanticCustomError("decimal_parsing", _MESSAGE)
        return Decimal(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Decimal(str(value))
    raise PydanticKnownError("decimal_type")


_MESSAGE: Final = "Input should be a valid decimal, written in digits"

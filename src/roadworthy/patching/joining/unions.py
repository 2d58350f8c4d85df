"""Choose the arm of a union for a merged value: the arm of the current value."""

# pyright: reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, cast

from pydantic import ValidationError
from pydantic_core import SchemaValidator

from roadworthy.patching.joining.merged import ABSENT, MergedArray, MergedObject, MovedValue
from roadworthy.patching.joining.wrappers import ValueWrapper
from roadworthy.patching.schema.nodes import (
    Schema,
    function_of,
    is_foreign,
    mapped,
    with_definitions,
)

__all__ = ["MARK", "ArmChoice", "ArmMatcher", "UnionWrapper"]

MARK: Final = "\0"
"""Before the names of places that are none of the document's, such as arms of a union."""


@dataclass(frozen=True, eq=False)
class UnionWrapper:
    """Validate by the current arm first, then as input for any other arm."""

    place: ValueWrapper

    def __call__(self, value: Any, handler: Callable[[Any], Any]) -> Any:
        """Return the validated value of the first arm that fits."""
        if type(value) not in {MergedObject, MergedArray} or value.instead is None:
            return handler(value)
        try:
            return handler(value)
        except ValidationError as first:
            try:
                return self.place(value.instead(), handler)
            except ValidationError as second:
                raise (second if self.place.node["type"] == "tagged-union" else first) from None


@dataclass(frozen=True, eq=False)
class ArmChoice:
    """The discriminator of a union: names the arm of the current value."""

    fitting: "list[ArmMatcher]"

    def arm(self, value: Any) -> str:
        """Return the name of the arm that the current value fits."""
        current = value.value if type(value) is MovedValue else getattr(value, "current", ABSENT)
        if current is not ABSENT and type(value) in {MergedObject, MergedArray, MovedValue}:
            for index, fits in enumerate(self.fitting):
                if fits(current):
                    return f"{MARK}{index}"
        return f"{MARK}raw"


@dataclass(frozen=True, eq=False)
class ArmMatcher:
    """Match current values with one arm of a union."""

    node: Schema
    definitions: list[Schema]

    def __call__(self, current: Any) -> bool:
        """Return whether `current` could be a value of this arm."""
        return self.validator.isinstance_python(current)

    @cached_property
    def validator(self) -> SchemaValidator:
        """A validator that checks types alone."""
        node = with_definitions(
            _looked_at(self.node), [{**_looked_at(d), "ref": d["ref"]} for d in self.definitions]
        )
        return SchemaValidator(cast("Any", node), cast("Any", {"strict": True}))


def _looked_at(node: Schema) -> Schema:
    match node["type"]:
        case "model" | "dataclass":
            return {"type": "is-instance", "cls": node["cls"]}
        case "typed-dict":
            return _other_look(_by_key(node))
        case "function-after":
            return (
                _looked_at(node["schema"]) if is_foreign(function_of(node)) else _other_look(node)
            )
        case "function-before" | "function-wrap" | "function-plain" if is_foreign(
            function_of(node)
        ):
            return {"type": "any"}
        case "json":
            return _looked_at(node["schema"]) if "schema" in node else {"type": "any"}
        case _:
            return _other_look(node)


def _by_key(node: Schema) -> Schema:
    """Return a typed dict's node that takes its own keys, and no others."""
    config = node.get("config") or {}  # pyright: ignore[reportUnknownVariableType]
    extra = node.get("extra_behavior") or config.get("extra_fields_behavior")
    fields = {
        key: {name: value for name, value in field.items() if name != "validation_alias"}
        for key, field in node["fields"].items()
    }
    return {**node, "fields": fields, "extra_behavior": "allow" if extra == "allow" else "forbid"}


def _other_look(node: Schema) -> Schema:
    made = mapped(node, _looked_at)
    made.pop("ref", None)
    return made

"""Wrap the validators of values, of JSON texts and of keys, to let kept ones pass."""

# pyright: reportUnknownVariableType=false

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError, SchemaValidator

from roadworthy.patching.joining.merged import (
    HiddenValue,
    KeptKey,
    KeptValue,
    MergedArray,
    MergedObject,
    MovedValue,
    NewObject,
    RefusedValue,
    ValidatorInput,
)
from roadworthy.patching.joining.validators import needs_more_than_value
from roadworthy.patching.schema.decimals import in_digits
from roadworthy.patching.schema.fields import has_fields
from roadworthy.patching.schema.nodes import Schema, any_node, plain_types, with_definitions, wrap
from roadworthy.patching.values.copies import copied

__all__ = ["JsonTextWrapper", "KeyWrapper", "ValueWrapper", "hidden", "without_nulls"]


def hidden() -> PydanticCustomError:
    """Return the error for a hidden value that another place would show."""
    return PydanticCustomError("hidden", "What answers do not show cannot be read at another place")


@dataclass(frozen=True, eq=False)
class ValueWrapper:
    """Validate one value: sent, kept, moved, refused, or from a validator."""

    node: Schema
    config: Schema
    definitions: list[Schema]

    def __call__(self, value: Any, handler: Callable[[Any], Any]) -> Any:
        """Return the validated value; one that is kept passes as it is."""
        kind: Any = type(value)  # each field of each patch comes by: nothing is called for it
        if kind is KeptValue:
            return copied(value.value)
        if kind is MergedObject or kind is MergedArray or kind in self.passing_types:
            return handler(value)
        if kind is MovedValue:
            return self._moved(value, handler)
        if kind is RefusedValue:
            raise PydanticCustomError("read_only", "This field is read-only")
        if kind is ValidatorInput:
            return self.validator.validate_python(value.value)
        if not self.stands_alone or (kind is NewObject and value.has_nulls()):
            return handler(value)
        return self.read_json(value)

    def _moved(self, value: MovedValue, handler: Callable[[Any], Any]) -> Any:
        if isinstance(value.value, BaseModel) or has_fields(value.value):
            try:
                return handler(value)
            except ValidationError:
                pass
        if value.hidden:
            raise hidden()
        return self(value.shown, handler)

    def read_json(self, value: Any) -> Any:
        """Return the validated value of sent JSON, read strictly."""
        try:
            text = json.dumps(value, default=_hide)
        except (TypeError, ValueError) as error:
            if isinstance(error.__cause__ or error, PydanticCustomError):
                raise
            return self.validator.validate_python(value)  # a validator made it
        return self.reader.validate_json(text, strict=True, extra="forbid")

    @cached_property
    def passing_types(self) -> frozenset[Any]:
        """The types whose values need no JSON reading: they mean the same as their JSON."""
        return plain_types(self.node)

    @cached_property
    def reader(self) -> SchemaValidator:
        """The validator of sent JSON for this node alone."""
        node = with_definitions(in_digits(self.node), [in_digits(d) for d in self.definitions])
        return SchemaValidator(cast("Any", node), cast("Any", self.config), _use_prebuilt=False)

    @cached_property
    def validator(self) -> SchemaValidator:
        """The validator of Python values for this node alone, as in a POST."""
        node = with_definitions(self.node, self.definitions)
        return SchemaValidator(cast("Any", node), cast("Any", self.config), _use_prebuilt=False)

    @cached_property
    def stands_alone(self) -> bool:
        """Whether neither other fields nor raw-input validators decide on the value."""
        return not any_node(with_definitions(self.node, self.definitions), needs_more_than_value)


def _hide(value: Any) -> Any:
    if isinstance(value, HiddenValue):
        raise hidden()
    raise TypeError


@dataclass(frozen=True, eq=False)
class JsonTextWrapper:
    """Validate a `Json[...]` field: text that was sent, or the value it held."""

    place: ValueWrapper

    def __call__(self, value: Any, handler: Callable[[Any], Any]) -> Any:
        """Return the validated value of a JSON text, or of merged parts of it."""
        if type(value) in {MergedObject, MergedArray, MovedValue}:
            return handler(value)
        return self.place.read_json(value)


@dataclass(frozen=True, eq=False)
class KeyWrapper:
    """Validate the keys of a mapping: kept ones pass, new ones are read."""

    node: Schema
    config: Schema
    definitions: list[Schema]

    def __call__(self, value: Any, handler: Callable[[Any], Any]) -> Any:
        """Return the key as the mapping has it."""
        if type(value) is KeptKey:
            return value.key
        if self.node["type"] == "str" or not isinstance(value, str):
            return handler(value)
        return self.validator.validate_strings(cast("Any", value))

    @cached_property
    def validator(self) -> SchemaValidator:
        """The validator of keys that are no text."""
        node = with_definitions(self.node, self.definitions)
        return SchemaValidator(cast("Any", node), cast("Any", self.config))


def without_nulls(node: Schema) -> Schema:
    """Return a node that leaves out null members of a new object."""

    def prune(value: Any, handler: Callable[[Any], Any]) -> Any:
        if type(value) is NewObject:
            value = NewObject({key: item for key, item in value.items() if item is not None})
        return handler(value)

    return wrap(prune, node)

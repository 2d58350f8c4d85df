"""Decide, at each place of an entity, what becomes of the value that validation meets there."""

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
from roadworthy.patching.joining.validators import reads_more
from roadworthy.patching.schema.decimals import in_digits
from roadworthy.patching.schema.fields import has_fields
from roadworthy.patching.schema.nodes import Schema, anywhere, plain_types, standing, wrap
from roadworthy.patching.values.copies import copied

__all__ = ["JsonTextWrapper", "KeyWrapper", "ValueWrapper", "hidden", "pruned"]


def hidden() -> PydanticCustomError:
    """Return the refusal of what would show at one place what is hidden at another."""
    return PydanticCustomError("hidden", "What answers do not show cannot be read at another place")


@dataclass(frozen=True, eq=False)
class ValueWrapper:
    """Decides what becomes of one value."""

    node: Schema
    config: Schema
    definitions: list[Schema]

    def __call__(self, value: Any, handler: Callable[[Any], Any]) -> Any:
        """Return the value of this place, joined with what is there."""
        kind: Any = type(value)  # each field of each patch comes by: nothing is called for it
        if kind is KeptValue:
            return copied(value.value)
        if kind is MergedObject or kind is MergedArray or kind in self.as_it_is:
            return handler(value)
        if kind is MovedValue:
            return self._moved(value, handler)
        if kind is RefusedValue:
            raise PydanticCustomError("read_only", "This field is read-only")
        if kind is ValidatorInput:
            return self.validator.validate_python(value.value)
        if not self.stands_alone or (kind is NewObject and value.has_nulls()):
            return handler(value)
        return self.fresh(value)

    def _moved(self, value: MovedValue, handler: Callable[[Any], Any]) -> Any:
        if isinstance(value.value, BaseModel) or has_fields(value.value):
            try:
                return handler(value)
            except ValidationError:
                pass
        if value.hidden:
            raise hidden()
        return self(value.shown, handler)

    def fresh(self, value: Any) -> Any:
        """Return what the entity makes of JSON, read strictly."""
        try:
            text = json.dumps(value, default=_hide)
        except (TypeError, ValueError) as error:
            if isinstance(error.__cause__ or error, PydanticCustomError):
                raise
            return self.validator.validate_python(value)  # a validator made it
        return self.reader.validate_json(text, strict=True, extra="forbid")

    @cached_property
    def as_it_is(self) -> frozenset[Any]:
        """The types of values that mean the same to validation as the JSON of them."""
        return plain_types(self.node)

    @cached_property
    def reader(self) -> SchemaValidator:
        """What validates JSON, alone."""
        node = standing(in_digits(self.node), [in_digits(d) for d in self.definitions])
        return SchemaValidator(cast("Any", node), cast("Any", self.config), _use_prebuilt=False)

    @cached_property
    def validator(self) -> SchemaValidator:
        """What validates what a validator made of its input: as in a POST."""
        node = standing(self.node, self.definitions)
        return SchemaValidator(cast("Any", node), cast("Any", self.config), _use_prebuilt=False)

    @cached_property
    def stands_alone(self) -> bool:
        """True where neither other fields nor a validator of raw input has a say."""
        return not anywhere(standing(self.node, self.definitions), reads_more)


def _hide(value: Any) -> Any:
    if isinstance(value, HiddenValue):
        raise hidden()
    raise TypeError


@dataclass(frozen=True, eq=False)
class JsonTextWrapper:
    """Reads JSON from text where it was sent, and joins parts with what text once held."""

    place: ValueWrapper

    def __call__(self, value: Any, handler: Callable[[Any], Any]) -> Any:
        """Return the text or what it held, joined with the parts that were sent."""
        if type(value) in {MergedObject, MergedArray, MovedValue}:
            return handler(value)
        return self.place.fresh(value)


@dataclass(frozen=True, eq=False)
class KeyWrapper:
    """Keeps the keys that a mapping has, and reads new ones from their spelling."""

    node: Schema
    config: Schema
    definitions: list[Schema]

    def __call__(self, value: Any, handler: Callable[[Any], Any]) -> Any:
        """Return the key as the mapping spells it."""
        if type(value) is KeptKey:
            return value.key
        if self.node["type"] == "str" or not isinstance(value, str):
            return handler(value)
        return self.validator.validate_strings(cast("Any", value))

    @cached_property
    def validator(self) -> SchemaValidator:
        """What reads a key that is no text."""
        node = standing(self.node, self.definitions)
        return SchemaValidator(cast("Any", node), cast("Any", self.config))


def pruned(node: Schema) -> Schema:
    """Return a node that leaves null out of an object that a merge patch brings anew."""

    def prune(value: Any, handler: Callable[[Any], Any]) -> Any:
        if type(value) is NewObject:
            value = NewObject({key: item for key, item in value.items() if item is not None})
        return handler(value)

    return wrap(prune, node)

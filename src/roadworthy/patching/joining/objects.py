"""Wrap validators of models, dataclasses and root models, to join what is there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from pydantic import BaseModel
from pydantic_core import PydanticCustomError

from roadworthy.patching.joining.merged import (
    ABSENT,
    HiddenValue,
    KeptKey,
    KeptValue,
    MergedArray,
    MergedObject,
    MovedValue,
    NewObject,
)
from roadworthy.patching.joining.wrappers import hidden
from roadworthy.patching.schema.fields import ClassLayout, class_of, has_fields, layout_of
from roadworthy.patching.values.copies import copied
from roadworthy.patching.values.init_false import copy_init_false

__all__ = ["AnyValue", "ObjectWrapper", "RootModelWrapper"]

Join: TypeAlias = Callable[[type[Any], Any], Any]


@dataclass(frozen=True, eq=False)
class ObjectWrapper:
    """Validate a model or dataclass from sent and kept fields."""

    kind: type[Any]
    join: Join

    def __call__(self, value: Any, handler: Callable[[Any], Any]) -> Any:
        """Return the object made of the merged fields and the current object."""
        if type(value) is MovedValue:
            return _taken(value, self.kind)
        if type(value) is not MergedObject:
            return handler(value)
        current = value.current
        if current is not ABSENT and not isinstance(current, self.kind):
            raise _another_kind()
        if current is not ABSENT and type(current) is not self.kind:
            return self.join(class_of(current), value)  # a subclass stays what it is
        return _finished(handler, value, layout_of(self.kind))


def _taken(moved: MovedValue, kind: type[Any]) -> Any:
    if type(moved.value) is kind:
        return moved.value
    raise _another_kind()


def _another_kind() -> PydanticCustomError:
    return PydanticCustomError("model_type", "Input should be another kind of object")


def _finished(handler: Callable[[Any], Any], parts: MergedObject, layout: ClassLayout) -> Any:
    extras = {
        k: parts[k].value
        for k in parts.keys() - layout.by_key.keys()
        if type(parts[k]) is KeptValue
    }
    for key in extras:
        parts = parts.of(parts.current) if key in parts else parts
        del parts[key]
    made = handler(parts)
    current = parts.current
    if isinstance(made, BaseModel) and isinstance(current, BaseModel):
        # What was set is what was set before, and what was sent.
        object.__setattr__(
            made, "__pydantic_fields_set__", current.__pydantic_fields_set__ | parts.names
        )
        if current.__pydantic_extra__ is not None:
            object.__setattr__(made, "__pydantic_extra__", copied(extras))
    copy_init_false(current, made)
    mapper: Any = getattr(layout.kind, "__mapper__", None)
    return made if mapper is None else _mapped(made, mapper)


def _mapped(made: Any, mapper: Any) -> Any:
    """Return a copy of an SQLModel row as an object of its ORM, in no session."""
    row: Any = mapper.class_manager.new_instance()
    for name, value in layout_of(class_of(made)).values_of(made).items():
        setattr(row, name, value)
    object.__setattr__(row, "__pydantic_fields_set__", set(made.__pydantic_fields_set__))
    return row


@dataclass(frozen=True, eq=False)
class RootModelWrapper:
    """Validate a root model from the merged value that it holds."""

    kind: type[Any]

    def __call__(self, value: Any, handler: Callable[[Any], Any]) -> Any:
        """Return the root model made of the merged value and the current one."""
        if type(value) is MovedValue:
            return _taken(value, self.kind)
        if type(value) in {MergedObject, MergedArray} and isinstance(value.current, self.kind):
            return handler(value.of(value.current.root))
        return handler(value)


@dataclass(frozen=True, eq=False)
class AnyValue:
    """Validate a value of type `Any`: merged values become plain ones."""

    join: Join

    def __call__(self, value: Any) -> Any:
        """Return the plain value of a merged one."""
        match value:
            case KeptValue():
                return copied(value.value)
            case MovedValue() | HiddenValue():
                if isinstance(value, HiddenValue) or value.hidden:
                    raise hidden()
                return value.shown
            case dict() | list():
                return self._inside(cast("Any", value))
            case _:
                return value

    def _inside(self, value: Any) -> Any:
        match value:
            case NewObject():
                return {k: self(v) for k, v in value.items() if v is not None}
            case MergedObject() if has_fields(value.current):
                return self.join(class_of(value.current), value)
            case MergedObject():
                items = cast("Mapping[str, Any]", value).items()
                return {k.key if type(k) is KeptKey else k: self(v) for k, v in items}
            case MergedArray():
                return [self(item) for item in cast("list[Any]", value)]
            case _:
                return value

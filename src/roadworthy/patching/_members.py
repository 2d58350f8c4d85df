"""How each field of an entity takes part in a patch, read from the entity once."""

import inspect
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ForwardRef, Literal, TypeAlias, Union, cast, get_args, get_origin

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    GetJsonSchemaHandler,
    PlainValidator,
    RootModel,
    TypeAdapter,
    WrapValidator,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema
from typing_extensions import is_typeddict

__all__ = [
    "Member",
    "ReadOnly",
    "adapter_of",
    "arms_of",
    "is_model",
    "is_object",
    "members_of",
    "nullable",
    "plain",
]

Kind: TypeAlias = Literal["value", "object", "model", "given", "read_only"]

_UNIONS: tuple[Any, ...] = (Union, types.UnionType)
_READS_INPUT = (BeforeValidator, PlainValidator, WrapValidator)
_OBJECTS = (Any, object)


@dataclass(frozen=True, slots=True)
class _ReadOnly:
    """Mark a field as the server's: `created_at: Annotated[datetime, ReadOnly]`."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "readOnly": True}


ReadOnly = _ReadOnly()
"""Refuse a field in every patch: `id: Annotated[str, ReadOnly]`.

`Field(json_schema_extra={"readOnly": True})` and computed fields mean the same.
"""


@dataclass(frozen=True, slots=True)
class Member:
    """One field: its names in a patch, and how what is sent meets what is there."""

    name: str
    keys: tuple[str, ...]
    """What clients may call it; documentation shows the first."""
    output: str
    """What an answer calls it, and so a JSON Patch."""
    kind: Kind
    """`value`: replaced. `object`: merged as JSON. `model`: merged field by field.
    `given`: the entity's own validator reads it, as in a POST. `read_only`: refused."""
    annotation: Any
    """The entity's, with its constraints."""
    model: type[BaseModel] | None = None


@cache
def members_of(entity: type[BaseModel]) -> Mapping[str, Member]:
    """Return the members of an entity by field name, those that are computed too."""
    fields = {name: _member(entity, name, field) for name, field in entity.model_fields.items()}
    computed = {
        name: Member(name, (field.alias or name,), field.alias or name, "read_only", Any)
        for name, field in entity.model_computed_fields.items()
    }
    return fields | computed


def _member(entity: type[BaseModel], name: str, field: FieldInfo) -> Member:
    annotation: Any = field.annotation
    if field.discriminator is not None:
        annotation = Annotated[annotation, FieldInfo(discriminator=field.discriminator)]
    for item in field.metadata:
        annotation = Annotated[annotation, item]
    model = _only_model(field.annotation)
    kind = _kind(entity, name, field)
    return Member(
        name=name,
        keys=_keys(entity, name, field),
        output=field.serialization_alias or name,
        kind=kind,
        annotation=annotation,
        model=model if kind == "model" else None,
    )


def _kind(entity: type[BaseModel], name: str, field: FieldInfo) -> Kind:
    if _is_read_only(field):
        return "read_only"
    if _reads_input(entity, name) or any(
        _has_reader(x) for x in (field.annotation, *field.metadata)
    ):
        return "given"
    if _only_model(field.annotation) is not None:
        return "model"
    return "object" if any(is_object(arm) for arm in arms_of(field.annotation)) else "value"


def _is_read_only(field: FieldInfo) -> bool:
    extra: Any = field.json_schema_extra
    marked = isinstance(extra, dict) and cast("dict[str, Any]", extra).get("readOnly") is True
    return marked or any(isinstance(item, _ReadOnly) for item in field.metadata)


def _reads_input(entity: type[BaseModel], name: str) -> bool:
    decorators = entity.__pydantic_decorators__.field_validators.values()
    return any(
        d.info.mode != "after" and (name in d.info.fields or "*" in d.info.fields)
        for d in decorators
    )


def _has_reader(annotation: Any) -> bool:
    return isinstance(annotation, _READS_INPUT) or any(
        _has_reader(part) for part in (*get_args(annotation), *_extras(annotation))
    )


def _extras(annotation: Any) -> tuple[Any, ...]:
    return tuple(annotation.metadata) if isinstance(annotation, FieldInfo) else ()


def _keys(entity: type[BaseModel], name: str, field: FieldInfo) -> tuple[str, ...]:
    alias = field.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    named = [choice for choice in choices if isinstance(choice, str)]
    config = entity.model_config
    by_name = config.get("validate_by_name") or config.get("populate_by_name")
    if not config.get("validate_by_alias", True):
        return (name,)
    return (*named, name) if by_name or not named else tuple(named)


def plain(annotation: Any) -> Any:
    """Return a type without its `Annotated` and its alias."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif hasattr(annotation, "__value__"):  # `type X = ...`
            annotation = annotation.__value__
        elif hasattr(annotation, "__supertype__"):  # NewType
            annotation = annotation.__supertype__
        else:
            return annotation


def arms_of(annotation: Any) -> Iterator[Any]:
    """Yield the members of a union, `None` left out; of another type, itself."""
    annotation = plain(annotation)
    if get_origin(annotation) in _UNIONS:
        for arm in get_args(annotation):
            yield from arms_of(arm)
    elif annotation is not types.NoneType:
        yield annotation


def nullable(annotation: Any) -> bool:
    """Tell whether a type takes `None`."""
    annotation = plain(annotation)
    if get_origin(annotation) in _UNIONS:
        return any(nullable(arm) for arm in get_args(annotation))
    return annotation is None or annotation is types.NoneType


def is_model(kind: Any) -> bool:
    """Tell whether a type is a model with fields."""
    return (
        isinstance(kind, type) and issubclass(kind, BaseModel) and not issubclass(kind, RootModel)
    )


def _only_model(annotation: Any) -> type[BaseModel] | None:
    objects = [arm for arm in arms_of(annotation) if is_model(arm) or is_object(arm)]
    alone = len(objects) == 1 and is_model(objects[0])
    return cast("type[BaseModel]", objects[0]) if alone else None


def is_object(kind: Any) -> bool:
    """Tell whether values of a type can be JSON objects."""
    if kind in _OBJECTS or is_typeddict(kind):
        return True
    origin: Any = get_origin(kind) or kind
    if not inspect.isclass(origin):
        return isinstance(kind, ForwardRef)
    return issubclass(origin, (Mapping, BaseModel)) or hasattr(origin, "__dataclass_fields__")


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)


def adapter_of(member: Member) -> TypeAdapter[Any]:
    """Return what validates a whole value of this member, alone."""
    try:
        return _adapter(member.annotation)
    except TypeError:  # some metadata cannot be hashed
        return TypeAdapter(member.annotation)

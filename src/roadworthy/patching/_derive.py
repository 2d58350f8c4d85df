"""Make the patch of an entity: every field `T | MISSING`, all else the same."""

from threading import RLock
from typing import Annotated, Any, Final, ForwardRef, NoReturn, TypeAlias, cast

from pydantic import (
    MISSING,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    create_model,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, PydanticOmit

from roadworthy.patching._members import Member, arms_of, is_model, members_of, nullable
from roadworthy.patching._model import ENTITY, Patch

__all__ = ["derive", "field_for"]

AnyPatchType: TypeAlias = type[Patch[Any]]

_DERIVED: Final[dict[type[BaseModel], AnyPatchType]] = {}
_OPEN: Final[dict[type[BaseModel], str]] = {}
"""Entities whose patch is being made; one that holds itself refers to it by this name."""
_UNFINISHED: Final[dict[str, AnyPatchType]] = {}
"""Patches that may refer to one that is still open, by the name they refer to."""
_LOCK: Final = RLock()

_KEPT = (
    "arbitrary_types_allowed",
    "field_title_generator",
    "regex_engine",
    "str_max_length",
    "str_min_length",
    "str_strip_whitespace",
    "str_to_lower",
    "str_to_upper",
    "url_preserve_empty_path",
    "use_enum_values",
    "val_json_bytes",
    "val_temporal_unit",
)
"""What an entity's configuration says of values rather than of whole objects."""


def derive(entity: Any) -> AnyPatchType:
    """Return the patch of an entity, the same class every time."""
    if not is_model(entity):
        raise TypeError(f"Patch[...] takes a Pydantic model with fields, not {entity!r}.")
    with _LOCK:
        if entity not in _DERIVED:
            _DERIVED[entity] = _build(entity)
        return _DERIVED[entity]


def _build(entity: type[BaseModel]) -> AnyPatchType:
    if not entity.__pydantic_complete__:
        entity.model_rebuild()
    _OPEN[entity] = name = f"_patch_{id(entity)}"
    try:
        kind = _create(entity)
    finally:
        del _OPEN[entity]
    _UNFINISHED[name] = kind
    if not _OPEN:
        _finish()
    return kind


def _finish() -> None:
    made = dict(_UNFINISHED)
    _UNFINISHED.clear()
    for kind in made.values():
        if not kind.__pydantic_complete__:
            kind.model_rebuild(force=True, _types_namespace=made)


def _create(entity: type[BaseModel]) -> AnyPatchType:
    fields: dict[str, Any] = {
        member.name: field_for(member, entity.model_fields.get(member.name, FieldInfo()))
        for member in members_of(entity).values()
    }
    base = type("Patch", (Patch,), {"model_config": _config(entity), "__module__": __name__})
    kind: Any = create_model(
        f"{entity.__name__}Patch",
        __base__=base,
        __module__=entity.__module__,
        __doc__=f"What to change of {entity.__name__}: a field left out keeps its value.",
        **fields,
    )
    setattr(kind, ENTITY, entity)
    return cast("AnyPatchType", kind)


def _config(entity: type[BaseModel]) -> ConfigDict:
    kept = {key: value for key, value in entity.model_config.items() if key in _KEPT}
    return cast("ConfigDict", {**kept, "allow_inf_nan": False, "defer_build": False})


def field_for(
    member: Member, field: FieldInfo, *, model: AnyPatchType | None = None
) -> tuple[Any, Any]:
    """Return type and `Field` of a member; `model` is the patch of a nested model."""
    alias = None if member.keys == (member.name,) else AliasChoices(*member.keys)
    made = Field(
        default=MISSING,
        validation_alias=alias,
        serialization_alias=None if member.output == member.name else member.output,
        title=field.title,
        description=field.description,
        examples=field.examples,
        deprecated=field.deprecated,
        json_schema_extra=field.json_schema_extra,
    )
    return _annotation(member, model) | MISSING, made


def _annotation(member: Member, model: AnyPatchType | None) -> Any:
    match member.kind:
        case "read_only":
            return Annotated[Any, BeforeValidator(_refuse), _Hidden()]
        case "given":
            return Annotated[member.annotation, WrapValidator(_as_given)]
        case "object":
            return Annotated[member.annotation, WrapValidator(_keep_objects), _Partial()]
        case "model":
            return _with_patch(member, model)
        case "value":
            return member.annotation


def _with_patch(member: Member, model: AnyPatchType | None) -> Any:
    arms = [
        (model or _nested(arm)) if arm is member.model else arm
        for arm in arms_of(member.annotation)
    ]
    if nullable(member.annotation):
        arms.append(None)
    kind: Any = Annotated[arms[0], "patch"]  # Annotated makes a name ahead take `|`
    for arm in arms[1:]:
        kind = kind | arm
    return kind


def _nested(entity: Any) -> Any:
    return ForwardRef(_OPEN[entity]) if entity in _OPEN else derive(entity)


def _refuse(_: Any) -> NoReturn:
    raise PydanticCustomError("read_only", "This field is read-only")


def _as_given(value: Any, _: ValidatorFunctionWrapHandler) -> Any:
    return value


def _keep_objects(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    # What an object means is known once it is merged: null in it removes.
    return cast("Any", value) if isinstance(value, dict) else handler(value)


class _Hidden:
    """Leave a field out of the documentation."""

    def __get_pydantic_json_schema__(self, *_: object) -> NoReturn:
        raise PydanticOmit


class _Partial:
    """Document an object that is merged: members may be absent, null removes one."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        made = dict(handler.resolve_ref_schema(handler(schema)))
        made.pop("required", None)
        items = made.get("additionalProperties")
        if isinstance(items, dict) and items:
            made["additionalProperties"] = {"anyOf": [items, {"type": "null"}]}
        return made

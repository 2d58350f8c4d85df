"""`derive`: make the patch class of an entity, in which every field is optional."""

from collections.abc import Callable
from contextvars import ContextVar
from threading import RLock
from typing import Annotated, Any, Final, TypeAlias, cast

from pydantic import MISSING, AliasChoices, BaseModel, Field, GetJsonSchemaHandler, create_model
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from roadworthy.patching.deriving.entity import ENTITY, NESTED
from roadworthy.patching.deriving.members import Member, ModelMember, members_of
from roadworthy.patching.deriving.unsupported import refuse_unsupported
from roadworthy.patching.schema.annotations import is_model

__all__ = ["AnyPatchType", "derive", "field_for"]

AnyPatchType: TypeAlias = type[Any]
"""The patch class of any entity."""

_DERIVED: Final[dict[type[BaseModel], AnyPatchType]] = {}
_LOCK: Final = RLock()


def derive(entity: Any, base: AnyPatchType) -> AnyPatchType:
    """Return the patch class of an entity, the same class every time."""
    if not is_model(entity):
        raise TypeError(f"Patch[...] takes a Pydantic model with fields, not {entity!r}.")
    with _LOCK:
        if entity not in _DERIVED:
            refuse_unsupported(entity)
            _DERIVED[entity] = _create(entity, base)
        return _DERIVED[entity]


def _create(entity: type[BaseModel], base: AnyPatchType) -> AnyPatchType:
    fields: dict[str, Any] = {
        member.name: field_for(member, lambda m: derive(m.model, base))
        for member in members_of(entity).values()
    }
    config: dict[str, Any] = {
        "defer_build": False,
        "field_title_generator": entity.model_config.get("field_title_generator"),
    }
    make: Any = create_model  # mypy and pyright want a base that they know
    kind: Any = make(
        f"{entity.__name__}Patch",
        __base__=type("Patch", (base,), {"model_config": config, "__module__": __name__}),
        __module__=entity.__module__,
        __doc__=f"What to change of {entity.__name__}: a field left out keeps its value.",
        **fields,
    )
    setattr(kind, ENTITY, entity)
    setattr(kind, NESTED, {})
    return cast("AnyPatchType", kind)


def field_for(member: Member, nested: Callable[[ModelMember], AnyPatchType]) -> tuple[Any, Any]:
    """Return the annotation and `Field` of a member, for the patch class."""
    field = member.info or FieldInfo()
    made = Field(
        default=MISSING,
        validation_alias=None if member.keys == (member.name,) else AliasChoices(*member.keys),
        serialization_alias=member.field.output if member.field else None,
        title=field.title,
        description=field.description,
        examples=field.examples,
        deprecated=field.deprecated,
        json_schema_extra=field.json_schema_extra,
    )
    # The entity's own metadata stays with the entity: nobody hashes or compares it here.
    return Annotated[Any, _Documented(member, nested)] | MISSING, made


_OPEN: Final[ContextVar[frozenset[str]]] = ContextVar(
    "patches_being_documented", default=frozenset()
)
"""References of the patches around: one that holds itself refers to it."""


class _Documented:
    """Annotation of a member: documented as in the entity, and read as any value."""

    def __init__(self, member: Member, nested: Callable[[ModelMember], AnyPatchType]) -> None:
        self.member, self.nested = member, nested

    def __get_pydantic_core_schema__(self, _: Any, __: Any) -> CoreSchema:
        return core_schema.any_schema()

    def __get_pydantic_json_schema__(self, _: CoreSchema, handler: GetJsonSchemaHandler) -> Any:
        around = _Around(handler, _OPEN.get())

        def patch_of(member: ModelMember) -> Any:
            return around.patch(self.nested(member))

        return self.member.documented(around, patch_of)


class _Around:
    """Wrap Pydantic's handler: a patch inside itself becomes a reference."""

    def __init__(self, handler: GetJsonSchemaHandler, above: frozenset[str]) -> None:
        self.handler, self.above = handler, above
        self.opened: set[str] = set()

    def patch(self, kind: AnyPatchType) -> Any:
        schema: Any = kind.__pydantic_core_schema__
        if schema["ref"] in self.above:
            return {"type": "definition-ref", "schema_ref": schema["ref"]}
        self.opened.add(schema["ref"])
        return schema

    def __call__(self, schema: Any) -> Any:
        token = _OPEN.set(self.above | self.opened)
        try:
            return self.handler(schema)
        finally:
            _OPEN.reset(token)

    def resolve_ref_schema(self, schema: Any) -> Any:
        return self.handler.resolve_ref_schema(schema)

"""Check the fields that a subclass of `Patch[Item]` declares against `Item`."""

import inspect
from typing import Any, cast

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from roadworthy.patching.deriving.derive import AnyPatchType, field_for
from roadworthy.patching.deriving.entity import NESTED, entity_of, is_patch
from roadworthy.patching.deriving.members import Member, ModelMember, ReadOnlyMember, members_of
from roadworthy.patching.schema.annotations import arms_of, bare, nullable

__all__ = ["check_declared"]


def check_declared(kind: AnyPatchType, base: Any) -> None:
    """Check the fields that a patch class declares, and use them for its schema."""
    entity = entity_of(kind)
    setattr(kind, NESTED, dict(getattr(kind, NESTED, {})))
    declared = [n for n in inspect.get_annotations(kind) if n in kind.__pydantic_fields__]
    if not declared:
        return
    for name in declared:
        kind.__pydantic_fields__[name] = _checked(kind, entity, name, base)
    kind.model_rebuild(force=True)


def _checked(kind: AnyPatchType, entity: type[BaseModel], name: str, base: Any) -> Any:
    place = f"{kind.__name__}.{name}"
    member = members_of(entity).get(name)
    if member is None:
        known = ", ".join(
            n for n, m in members_of(entity).items() if not isinstance(m, ReadOnlyMember)
        )
        raise TypeError(f"{place}: {entity.__name__} has no such field. It has {known}.")
    if isinstance(member, ReadOnlyMember):
        raise TypeError(f"{place}: the field is read-only in {entity.__name__}. Remove the line.")
    annotation = kind.__pydantic_fields__[name].annotation
    nested = _nested_patch(annotation, member)
    if _shape(annotation, nested) not in member.expected(nested):
        raise TypeError(f"{place}: {entity.__name__} says otherwise. Write `{member.line()}`.")
    if nested is not None:
        getattr(kind, NESTED)[name] = nested
    made, field = field_for(member, lambda m: nested or base[m.model])
    return FieldInfo.from_annotated_attribute(made, field)


def _nested_patch(annotation: Any, member: Member) -> AnyPatchType | None:
    for arm in arms_of(annotation):
        if isinstance(member, ModelMember) and is_patch(arm) and entity_of(arm) is member.model:
            return cast("AnyPatchType", arm)
    return None


def _shape(annotation: Any, nested: AnyPatchType | None) -> frozenset[Any]:
    arms = {"model" if arm is nested else bare(arm) for arm in arms_of(annotation)}
    return frozenset(arms | ({None} if nullable(annotation) else set()))

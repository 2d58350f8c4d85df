"""Hold a subclass of `Patch[Item]` to `Item`: drift is an error at import."""

import inspect
from typing import Any, TypeAlias, cast

from pydantic import MISSING, BaseModel
from pydantic.fields import FieldInfo

from roadworthy.patching._derive import field_for
from roadworthy.patching._members import Member, arms_of, is_object, members_of, nullable
from roadworthy.patching._model import Patch, entity_of, is_patch

__all__ = ["adopt"]

AnyPatchType: TypeAlias = type[Patch[Any]]


def adopt(kind: AnyPatchType) -> None:
    """Compare the fields that `kind` declares with the entity's, and take those."""
    entity = entity_of(kind)
    declared = [n for n in inspect.get_annotations(kind) if n in kind.__pydantic_fields__]
    if not declared:
        return
    for name in declared:
        kind.__pydantic_fields__[name] = _checked(kind, entity, name)
    kind.model_rebuild(force=True)


def _checked(kind: AnyPatchType, entity: type[BaseModel], name: str) -> Any:
    place = f"{kind.__name__}.{name}"
    member = members_of(entity).get(name)
    if member is None:
        known = ", ".join(n for n, m in members_of(entity).items() if m.kind != "read_only")
        raise TypeError(f"{place}: {entity.__name__} has no such field. It has {known}.")
    if member.kind == "read_only":
        raise TypeError(f"{place}: the field is read-only in {entity.__name__}. Remove the line.")
    annotation = kind.__pydantic_fields__[name].annotation
    nested = _nested_patch(annotation, member)
    if _shape(annotation, nested) not in _expected(member, nested):
        raise TypeError(f"{place}: {entity.__name__} says otherwise. Write `{_line(member)}`.")
    made, field = field_for(member, entity.model_fields[name], model=nested)
    return FieldInfo.from_annotated_attribute(made, field)


def _nested_patch(annotation: Any, member: Member) -> AnyPatchType | None:
    for arm in arms_of(annotation):
        if is_patch(arm) and entity_of(arm) is member.model:
            return cast("AnyPatchType", arm)
    return None


def _shape(annotation: Any, nested: AnyPatchType | None) -> frozenset[Any]:
    arms = {"model" if arm is nested else arm for arm in arms_of(annotation)}
    return frozenset(arms | ({None} if nullable(annotation) else set()))


def _expected(member: Member, nested: AnyPatchType | None) -> list[frozenset[Any]]:
    arms = set(arms_of(member.annotation))
    ends = {MISSING, None} if nullable(member.annotation) else {MISSING}
    match member.kind:
        case "given":
            return [frozenset({MISSING, top}) for top in (Any, object)]
        case "model":
            arms = {"model" if arm is member.model else arm for arm in arms}
            return [frozenset(arms | ends)] if nested else []
        case "object":
            sent = {dict[str, Any] if is_object(arm) else arm for arm in arms}
            whole = {arm for arm in arms if arm in {Any, dict}}
            return [frozenset(sent | ends), *([frozenset(arms | ends)] if whole else [])]
        case _:
            return [frozenset(arms | ends)]


def _line(member: Member) -> str:
    tail = " | MISSING | None" if nullable(member.annotation) else " | MISSING"
    match member.kind:
        case "given":
            # What the client sent, before the entity's own validator has seen it.
            return f"{member.name}: object | MISSING"
        case "model" if member.model is not None:
            return f"{member.name}: Patch[{member.model.__name__}]{tail}"
        case _:
            arms = (
                "dict[str, Any]" if member.kind == "object" and is_object(arm) else _named(arm)
                for arm in arms_of(member.annotation)
            )
            return f"{member.name}: {' | '.join(arms)}{tail}"


def _named(kind: Any) -> str:
    return kind.__name__ if type(kind) is type else str(kind).replace("typing.", "")

"""`apply`: merge a patch into an entity, and validate the result.

A field that was not sent is not validated, converted, dumped or written, at any depth: it stays as
it is. The validators of the whole entity judge the result.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast

from pydantic import BaseModel, ValidationError

from roadworthy.patching.body.read import names_in
from roadworthy.patching.deriving.entity import entity_of
from roadworthy.patching.joining.join import join
from roadworthy.patching.joining.merged import MergedObject
from roadworthy.patching.joining.merging import merge_over
from roadworthy.patching.joining.unions import MARK
from roadworthy.patching.patch import Patch, document_of, operations_of
from roadworthy.patching.schema.fields import layout_of
from roadworthy.patching.values.storable import not_storable
from roadworthy.patching.values.to_json import column
from roadworthy.problems import FieldError, Names, ValidationFailed, field_errors
from roadworthy.problems.validation.field_errors import MAX_ERRORS, pointer

__all__ = ["Change", "apply"]

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Change(Generic[M]):
    """The outcome of a patch for one resource: nothing is written yet."""

    before: M
    after: M
    values: Mapping[str, Any]
    """The values to write to columns, by field name: only those of fields that were sent.

    Single values, and lists of them, are Python objects. A value that only a JSON column can hold
    is JSON at all depths, in the form of input: the entity reads it back as `after` has it.
    """


def apply(patch: Patch[M], current: M) -> Change[M]:
    """Merge a patch into `current` and validate the result; `current` stays as it is.

    Fields that were sent are validated once. Other fields are not touched, and so not validated
    again.

    Call this while nobody else can write the row between your reading of `current` and your
    writing of `values`: under `SELECT ... FOR UPDATE`, or SQLite's `BEGIN IMMEDIATE`. Then two
    patches of one JSON column both survive.

    Raises:
        ValidationFailed: 422. The result is not a valid entity.
        PatchTestFailed: 409. A `test` of a JSON Patch does not hold for `current`.
        TypeError: A value has no JSON form that can be read back; the text names the field.
    """
    kind = type(patch)
    entity = entity_of(kind)
    if not isinstance(current, entity):
        raise TypeError(
            f"{kind.__name__} applies to {entity.__name__}, not {type(current).__name__}. "
            f"Write {entity.__name__}.model_validate(row) first."
        )
    parts = _parts(patch, current)
    names = names_in(kind)
    after = _joined(type(current), parts, names)
    made = layout_of(type(current)).values_of(after)
    sent = {name: made[name] for name in made if name in parts.names}
    _refuse_unstorable(sent, names)
    values = {name: column(type(current), name, value) for name, value in sent.items()}
    return Change(before=current, after=after, values=MappingProxyType(values))


def _parts(patch: Patch[Any], current: BaseModel) -> MergedObject:
    operations = operations_of(patch)
    if operations is None:
        return cast("MergedObject", merge_over(current, document_of(patch)))
    # Not at the top: the jsonpatch library is an extra.
    from roadworthy.patching.json_patch.operations import apply_operations  # noqa: PLC0415

    return apply_operations(operations, current)


def _joined(kind: type[Any], parts: MergedObject, names: Names) -> Any:
    try:
        return join(kind, parts)
    except ValidationError as error:
        raise ValidationFailed(errors=_told(error, names)) from _silent(error)


def _told(error: ValidationError, names: Names) -> list[FieldError]:
    errors = error.errors(include_url=False, include_input=False)
    for found in errors:
        found["loc"] = tuple(part for part in found["loc"] if not str(part).startswith(MARK))
    return field_errors(cast("Any", errors), names=names)


def _silent(error: ValidationError) -> ValidationError:
    """Return a validation error without values, because it may be logged."""
    return ValidationError.from_exception_data(error.title, [], hide_input=True)


def _refuse_unstorable(values: Mapping[str, Any], names: Names) -> None:
    if wrong := list(not_storable(values)):
        raise ValidationFailed(
            errors=[
                FieldError(
                    pointer=pointer(loc, names),
                    code="not_storable",
                    message="Input should be finite numbers and text without NUL",
                )
                for loc in wrong[:MAX_ERRORS]
            ]
        )

"""`Patch[Item]`: what may be sent to change an `Item`, derived from `Item` itself.

    class ItemPatch(Patch[Item]):  # only where fields are read by name
        quantity: int | MISSING

    if patch.quantity is not MISSING: ...

Every field becomes `T | MISSING`, with the constraints, aliases, descriptions and
examples it has; models inside become patches too; defaults stay behind. The class
is made when it is first asked for, and kept.
"""

import inspect
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError

from roadworthy._internal.read_json import Json
from roadworthy.patching._decimals import misspelled
from roadworthy.patching._members import members_of
from roadworthy.problems import FieldError, Names, ValidationFailed, field_errors, names_of
from roadworthy.problems.body import refuse_unstorable
from roadworthy.problems.fields import MAX_ERRORS, pointer

__all__ = [
    "ENTITY",
    "Document",
    "Operations",
    "Patch",
    "document_of",
    "entity_of",
    "from_operations",
    "is_patch",
    "names_in",
    "operations_of",
    "parse",
    "read",
]

M = TypeVar("M", bound=BaseModel)
P = TypeVar("P", bound="Patch[Any]")

Document = Mapping[str, Json]
Operations = Sequence[Mapping[str, Any]]

ENTITY: Final = "__roadworthy_entity__"
"""Class attribute of a derived patch: what it was derived from."""


class Patch(BaseModel, Generic[M]):
    """Hold a partial update of an entity: `Patch[Item]`, or a subclass of it.

    A field that was not sent is `MISSING`. A subclass may repeat fields to tell type
    checkers of them: `quantity: int | MISSING`. It is compared with the entity when the
    class is made, and constraints still come from there.

    A JSON Patch (RFC 6902) has no values before it meets the resource: reading a field
    of one raises `AttributeError`. `apply` tells the values of either kind.

    Raises:
        TypeError: When the class is made: a field is unknown, read-only, or of another
            type than the entity's.
    """

    # Deferred, because Pydantic reads the environment where it builds a schema.
    model_config = ConfigDict(extra="forbid", protected_namespaces=(), defer_build=True)
    _document: Document | None = PrivateAttr(default=None)
    _operations: Operations | None = PrivateAttr(default=None)

    if not TYPE_CHECKING:

        def __class_getitem__(cls, entity: Any) -> Any:
            """Return the patch of this entity, derived the first time."""
            if entity is Any or isinstance(entity, TypeVar):
                return cls
            from roadworthy.patching._derive import derive  # noqa: PLC0415 - it subclasses this

            return derive(entity)

        @classmethod
        def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
            """Compare what a subclass declares with the entity."""
            super().__pydantic_init_subclass__(**kwargs)
            if hasattr(cls, ENTITY):
                from roadworthy.patching._declared import adopt  # noqa: PLC0415 - as above

                adopt(cls)

        def __getattr__(self, name: str) -> Any:
            if name in type(self).__pydantic_fields__:
                raise AttributeError(
                    f"A JSON Patch has no {name!r} before it is applied: "
                    f"read patching.apply(patch, current).values.get({name!r})."
                )
            return super().__getattr__(name)


def parse(kind: type[P], document: Document) -> P:
    """Make a patch of a merge-patch document (RFC 7396), as a request would.

    Raises:
        ValidationFailed: 422. The document does not fit what `kind` was derived from.
    """
    body = json.dumps(document).encode()
    refuse_unstorable(cast("Json", document), body, names=names_in(kind))
    return read(kind, document, body)


def read(kind: type[P], document: Document, body: bytes) -> P:
    """Make a patch of a document whose numbers and text are known to be storable.

    Pydantic reads `body` itself: strict JSON takes dates and decimals from strings,
    and neither `true` nor `"5"` for a number.
    """
    names = names_in(kind)
    try:
        patch = kind.model_validate_json(body, strict=True, extra="forbid")
    except ValidationError as error:
        found = field_errors(error.errors(include_url=False), names=names)
        raise ValidationFailed(errors=found) from error
    if wrong := list(misspelled(entity_of(kind), cast("Json", document))):
        raise ValidationFailed(
            errors=[
                FieldError(pointer=pointer(loc, names), code="decimal_parsing", message=_DECIMAL)
                for loc in wrong[:MAX_ERRORS]
            ]
        )
    patch._document = document  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - ours
    return patch


_DECIMAL = "Input should be a valid decimal, written in digits"


def from_operations(kind: type[P], operations: Operations) -> P:
    """Make a patch of JSON Patch operations; it has no values until it is applied."""
    patch = kind.model_construct()
    vars(patch).clear()
    patch._operations = operations  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - ours
    return patch


def operations_of(patch: Patch[Any]) -> Operations | None:
    """Return the operations of a JSON Patch, or None for a merge patch."""
    return patch._operations  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - ours


def document_of(patch: Patch[Any]) -> Document:
    """Return what was sent: only this tells an omitted field from a default."""
    document = patch._document  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - ours
    if document is None:
        name = type(patch).__name__
        raise TypeError(
            f"This {name} was not made from a document. "
            f"Write patching.parse({name}, {{...}}) where there is no request."
        )
    return document


def is_patch(kind: Any) -> bool:
    """Tell whether a type is the patch of an entity."""
    return inspect.isclass(kind) and hasattr(kind, ENTITY)


def entity_of(kind: type[Patch[Any]]) -> type[BaseModel]:
    """Return what a patch was derived from."""
    entity: type[BaseModel] | None = getattr(kind, ENTITY, None)
    if entity is None:
        raise TypeError(f"{kind.__name__} is a patch of nothing: write Patch[Item].")
    return entity


@cache
def names_in(kind: type[Patch[Any]]) -> Names:
    """Return the names that may stand in a pointer: the entity's own, hidden ones too."""
    entity = entity_of(kind)
    own = {key for member in members_of(entity).values() for key in (*member.keys, member.output)}
    return names_of(entity) | names_of(kind) | Names(frozenset(own))

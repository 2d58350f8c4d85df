"""`Patch[Item]`: the fields to change of an `Item`, derived from `Item` itself.

    class ItemPatch(Patch[Item]):  # only where fields are read by name
        quantity: int | MISSING

    if patch.quantity is not MISSING: ...

In the patch every field may be left out. Fields keep their constraints, aliases, descriptions and
examples, and lose their defaults; models inside become patches, too. The class is made when it is
first used, and cached.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, PrivateAttr

from roadworthy._internal.read_json import Json
from roadworthy.patching.deriving.declared import check_declared
from roadworthy.patching.deriving.derive import derive
from roadworthy.patching.deriving.entity import ENTITY

__all__ = ["Document", "Operations", "Patch", "document_of", "operations_of"]

M = TypeVar("M", bound=BaseModel)

Document = Mapping[str, Json]
"""A JSON object, as a merge patch (RFC 7396) has it."""
Operations = Sequence[Mapping[str, Any]]
"""The operations of a JSON Patch (RFC 6902)."""


class Patch(BaseModel, Generic[M]):
    """Hold a partial update of an entity: `Patch[Item]`, or a subclass of it.

    A field that was not sent is `MISSING`. A field that was sent has its type, as far as the type
    can be checked before the resource is known; the entity's own validators have not run yet. A
    subclass may repeat fields for type checkers: `quantity: int | MISSING`. They are compared with
    the entity when the class is made.

    A JSON Patch (RFC 6902) has no values before it is applied: reading a field raises
    `AttributeError`. `apply` returns the values of both kinds of patch.

    Raises:
        TypeError: When the class is made: a field is unknown, read-only, or of another
            type than the entity's; or the entity holds what no patch could keep.
    """

    # Deferred, because Pydantic reads the environment when it builds a schema.
    model_config = ConfigDict(extra="forbid", protected_namespaces=(), defer_build=True)
    _document: Document | None = PrivateAttr(default=None)
    _operations: Operations | None = PrivateAttr(default=None)

    if not TYPE_CHECKING:

        def __class_getitem__(cls, entity: Any) -> Any:
            """Return the patch class of an entity, which is derived once."""
            if entity is Any or isinstance(entity, TypeVar):
                return cls
            return derive(entity, Patch)

        @classmethod
        def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
            """Compare what a subclass declares with the entity."""
            super().__pydantic_init_subclass__(**kwargs)
            if hasattr(cls, ENTITY):
                check_declared(cls, Patch)

        def __getattr__(self, name: str) -> Any:
            if name in type(self).__pydantic_fields__:
                raise AttributeError(
                    f"A JSON Patch has no {name!r} before it is applied: "
                    f"read patching.apply(patch, current).values.get({name!r})."
                )
            return super().__getattr__(name)

        def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
            # Values are not shown: a log must not get a secret that was sent.
            yield "sent", sorted(self.__pydantic_fields_set__)


def operations_of(patch: Patch[Any]) -> Operations | None:
    """Return the operations of a JSON Patch, or None for a merge patch."""
    operations: Operations | None = _private(patch)["_operations"]
    return operations


def document_of(patch: Patch[Any]) -> Document:
    """Return the merge-patch document that was sent."""
    document: Document | None = _private(patch)["_document"]
    if document is None:
        name = type(patch).__name__
        raise TypeError(
            f"This {name} does not know what was sent. In a route, write "
            f"patch: Annotated[{name}, MergePatch] (or AnyPatch); where there is no request, "
            f"patching.parse({name}, {{...}})."
        )
    return document


def _private(patch: Patch[Any]) -> dict[str, Any]:
    return patch.__pydantic_private__ or {}

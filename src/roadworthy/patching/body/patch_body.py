"""`PatchBody`: read a patch from a request, by the media type of its body.

@router.patch("/items/{item_id}")
async def update(item_id: str, patch: Annotated[Patch[Item], MergePatch]) -> Item: ...
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Final

from fastapi import Request, Response, params
from pydantic import BaseModel

from roadworthy.patching import metrics
from roadworthy.patching.body.openapi import (
    JSON,
    JSON_PATCH_JSON,
    MERGE_PATCH_JSON,
    document,
    inline,
)
from roadworthy.patching.body.read import from_operations, names_in, read
from roadworthy.patching.deriving.entity import is_patch
from roadworthy.patching.errors import EmptyPatch, PatchTestFailed
from roadworthy.patching.patch import Patch
from roadworthy.problems import (
    FieldError,
    MalformedBody,
    Problem,
    UnsupportedMediaType,
    ValidationFailed,
    raises,
)
from roadworthy.problems.validation.strict_json import parse as parse_json

__all__ = ["AnyPatch", "MergePatch", "PatchBody", "advertise", "openapi"]


@dataclass(frozen=True)
class PatchBody(params.Depends):
    """The patches that a route accepts: `Annotated[Patch[Item], PatchBody(...)]`.

    RFC 7396 documents have the media type `application/merge-patch+json` or `application/json`.
    The size of the body is limited by the application's `max_body_size`. Answers have
    `Accept-Patch` (RFC 5789 §3.1).

    Args:
        json_patch: Whether RFC 6902 is accepted, too, as `application/json-patch+json`; this
            needs `roadworthy[json-patch]`.
        allow_empty: Whether a patch may name no field; else such a patch is answered 400
            `EMPTY_PATCH`.
        max_operations: The most operations of an RFC 6902 patch.
    """

    json_patch: bool = False
    allow_empty: bool = False
    max_operations: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        # FastAPI sets the annotated type here, and copies the object.
        kind = self.dependency
        if kind is not None and not isinstance(kind, _Reader):
            object.__setattr__(self, "dependency", self._reader(kind))

    def _reader(self, kind: Any) -> "_Reader":
        if not is_patch(kind):
            raise TypeError(f"A patch is annotated with Patch[Item] or a subclass, not {kind!r}.")
        if self.json_patch:
            # Fail where the route is written if the extra is missing, not at a request.
            import_module("roadworthy.patching.json_patch.operations")
        return _reader(kind, self.json_patch, self.allow_empty, self.max_operations)

    @property
    def media_types(self) -> tuple[str, ...]:
        """The accepted media types, in the order of preference."""
        return _media_types(json_patch=self.json_patch)


MergePatch: Final = PatchBody()
"""Accepts RFC 7396: `patch: Annotated[Patch[Item], MergePatch]`."""

AnyPatch: Final = PatchBody(json_patch=True)
"""Accepts RFC 7396 and RFC 6902: `patch: Annotated[Patch[Item], AnyPatch]`."""


def advertise(body: PatchBody) -> Any:
    """Return a dependency that sends `Accept-Patch`, for the GET of a resource.

    `@router.get("/items/{item_id}", dependencies=[patching.advertise(MergePatch)])`
    """
    return _advertise(body.media_types)


def openapi(entity: type[BaseModel], body: PatchBody = MergePatch) -> dict[str, Any]:
    """Return the `openapi_extra=` of a route, if `problems.install` is not used."""
    kind: Any = entity
    patch = kind if is_patch(kind) else Patch[kind]
    return inline(patch, body.media_types, allow_empty=body.allow_empty)


@cache
def _advertise(media_types: tuple[str, ...]) -> params.Depends:
    async def accept_patch(response: Response) -> None:
        response.headers["Accept-Patch"] = ", ".join(media_types)

    return params.Depends(accept_patch)


def _media_types(*, json_patch: bool) -> tuple[str, ...]:
    return (MERGE_PATCH_JSON, *([JSON_PATCH_JSON] if json_patch else []), JSON)


@cache
def _reader(
    kind: type[Patch[Any]], json_patch: bool, allow_empty: bool, max_operations: int
) -> "_Reader":
    reader = _Reader(
        kind, allow_empty=allow_empty, json_patch=json_patch, max_operations=max_operations
    )
    return raises(*reader.problems())(reader)


class _Reader:
    """The dependency of a route; it has no parameter from which FastAPI reads a body."""

    def __init__(
        self, kind: type[Patch[Any]], *, json_patch: bool, allow_empty: bool, max_operations: int
    ) -> None:
        self.kind, self.allow_empty, self.max_operations = kind, allow_empty, max_operations
        self.media_types = _media_types(json_patch=json_patch)

    async def __call__(self, request: Request, response: Response) -> Patch[Any]:
        response.headers["Accept-Patch"] = ", ".join(self.media_types)
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type and media_type not in self.media_types:
            raise self._unsupported()
        body = await request.body()
        if not body:
            raise MalformedBody(reason="The body is empty.")
        if not media_type:
            raise self._unsupported()
        patch = self._read(body, is_json_patch=media_type == JSON_PATCH_JSON)
        metrics.read(media_type)
        return patch

    def _unsupported(self) -> UnsupportedMediaType:
        problem = UnsupportedMediaType()
        problem.headers = {"Accept-Patch": ", ".join(self.media_types)}  # RFC 5789 §2.2
        return problem

    def _read(self, body: bytes, *, is_json_patch: bool) -> Patch[Any]:
        content = parse_json(body, names=names_in(self.kind))
        if not content and isinstance(content, list if is_json_patch else dict):
            self._refuse_empty()
        if is_json_patch:
            from roadworthy.patching.json_patch.operations import check  # noqa: PLC0415 - an extra

            return from_operations(self.kind, check(content, at_most=self.max_operations))
        if not isinstance(content, dict):
            raise ValidationFailed(errors=[_NOT_AN_OBJECT])
        return read(self.kind, content, body)

    def _refuse_empty(self) -> None:
        if not self.allow_empty:
            raise EmptyPatch

    def problems(self) -> Iterator[type[Problem]]:
        """Yield the problems that this reader, and `apply` after it, can raise."""
        yield from (MalformedBody, UnsupportedMediaType, ValidationFailed)
        if not self.allow_empty:
            yield EmptyPatch
        if JSON_PATCH_JSON in self.media_types:
            yield PatchTestFailed

    def __roadworthy_openapi__(
        self, operation: dict[str, Any], components_schemas: dict[str, Any]
    ) -> None:
        document(
            operation,
            components_schemas,
            kind=self.kind,
            media_types=self.media_types,
            allow_empty=self.allow_empty,
        )


_NOT_AN_OBJECT = FieldError(
    pointer="", code="dict_type", message="Input should be an object of the fields to change"
)

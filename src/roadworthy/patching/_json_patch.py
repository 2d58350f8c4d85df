"""RFC 6902 over one resource, with the `jsonpatch` library and bounds of our own."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from pydantic import BaseModel

from roadworthy._internal.read_json import MAX_DEPTH, Json
from roadworthy.patching._errors import PatchTestFailed
from roadworthy.patching._members import Member, is_model, members_of
from roadworthy.patching._model import Document, Operations
from roadworthy.problems import FieldError, ValidationFailed

try:
    import jsonpatch
    from jsonpointer import JsonPointer, JsonPointerException
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "JSON Patch needs the jsonpatch library: pip install 'roadworthy[json-patch]'"
    ) from error

__all__ = ["check", "document_after"]

MAX_COPIED: Final = 1 << 20
"""Characters that all copies and moves of one patch may carry together."""

_MEMBERS: Final = {
    "add": ("value",),
    "remove": (),
    "replace": ("value",),
    "move": ("from",),
    "copy": ("from",),
    "test": ("value",),
}


def check(operations: Json, *, at_most: int) -> Operations:
    """Return the operations of a body, once each is one that RFC 6902 §4 knows.

    Raises:
        ValidationFailed: 422. It is no array of operations, or has more than `at_most`.
    """
    if not isinstance(operations, list):
        raise _refused("", "list_type", "Input should be an array of operations")
    if len(operations) > at_most:
        raise _refused("", "too_long", f"Input should have at most {at_most} operations")
    if wrong := [error for index, op in enumerate(operations) for error in _wrong(index, op)]:
        raise ValidationFailed(errors=wrong)
    return cast("Operations", operations)


def _wrong(index: int, operation: Json) -> Iterator[FieldError]:
    if not isinstance(operation, dict):
        yield _error(f"/{index}", "dict_type", "Input should be an operation")
        return
    op = operation.get("op")
    if not isinstance(op, str) or op not in _MEMBERS:
        yield _error(f"/{index}/op", "literal_error", f"Input should be one of {_NAMES}")
        return
    for name in ("path", *_MEMBERS[op]):
        if name not in operation:
            yield _error(f"/{index}/{name}", "missing", "Field required")
        elif name != "value" and not _is_pointer(operation[name]):
            yield _error(f"/{index}/{name}", "json_pointer", "Input should be a JSON Pointer")


def _is_pointer(text: Json) -> bool:
    if not isinstance(text, str) or text.count("/") > MAX_DEPTH:
        return False
    try:
        JsonPointer(text)
    except JsonPointerException:
        return False
    return True


def document_after(operations: Operations, current: BaseModel) -> Document:
    """Return the merge-patch document that has the same effect on `current`.

    Raises:
        PatchTestFailed: 409. A `test` does not hold.
        ValidationFailed: 422. An operation has no place to work on.
    """
    before = current.model_dump(mode="json", by_alias=True)
    after: Json = current.model_dump(mode="json", by_alias=True)
    budget = MAX_COPIED
    for index, operation in enumerate(operations):
        budget -= _carried(index, operation, after)
        if budget < 0:
            raise _refused(f"/{index}", "too_long", "Input should copy less")
        after = _step(index, operation, after)
    if not isinstance(after, dict):
        raise _refused("", "dict_type", "The outcome should be an object")
    return _difference(type(current), before, after)


def _step(index: int, operation: Mapping[str, Any], document: Json) -> Json:
    try:
        return cast("Json", jsonpatch.JsonPatch([dict(operation)]).apply(document, in_place=True))
    except jsonpatch.JsonPatchTestFailed as error:
        raise PatchTestFailed from error
    except (jsonpatch.JsonPatchException, JsonPointerException) as error:
        raise _refused(f"/{index}", "no_such_place", "Input should fit the resource") from error


def _carried(index: int, operation: Mapping[str, Any], document: Json) -> int:
    """Measure what an operation takes from one place to another, in characters."""
    source = operation["from"] if operation["op"] in {"copy", "move"} else None
    value = operation.get("value")
    size, depth = _extent(value if source is None else JsonPointer(source).resolve(document, None))
    if depth + operation["path"].count("/") > MAX_DEPTH:
        # What nests deeper could not be sent either: a patch must not build it.
        raise _refused(f"/{index}/path", "too_deep", f"Input should nest {MAX_DEPTH} levels")
    return 0 if source is None else size


def _extent(value: Any) -> tuple[int, int]:
    size, depth, level = 0, 0, [value]
    while level:
        depth += 1
        size += sum(_length(node) for node in level)
        level = [child for node in level for child in _children(node)]
    return size, depth


def _length(node: Any) -> int:
    return len(node) + 2 if isinstance(node, str) else 2


def _children(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        for name, child in cast("dict[str, Any]", node).items():
            yield name
            yield child
    elif isinstance(node, list):
        yield from cast("list[Any]", node)


def _difference(entity: Any, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Json]:
    """Name what changed as a patch would: models by their fields, all else as a whole."""
    members = {member.output: member for member in members_of(entity).values()}
    changed: dict[str, Json] = {}
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        if not _same(old, new) or (name in before) != (name in after):
            member = members.get(name)
            changed[member.keys[0] if member else name] = _changed(member, old, new)
    return changed


def _changed(member: Member | None, old: Any, new: Any) -> Json:
    if member and is_model(member.model) and isinstance(old, dict) and isinstance(new, dict):
        objects = cast("tuple[dict[str, Any], dict[str, Any]]", (old, new))
        return cast("Json", _difference(member.model, *objects))
    return cast("Json", new)


def _same(old: Any, new: Any) -> bool:
    # JSON tells 1 from true; Python does not.
    match old, new:
        case dict(), dict():
            one, two = cast("tuple[dict[str, Any], dict[str, Any]]", (old, new))
            return one.keys() == two.keys() and all(_same(one[k], two[k]) for k in one)
        case list(), list():
            left, right = cast("tuple[list[Any], list[Any]]", (old, new))
            return len(left) == len(right) and all(map(_same, left, right))
        case _:
            return isinstance(old, bool) == isinstance(new, bool) and bool(old == new)


def _refused(pointer: str, code: str, message: str) -> ValidationFailed:
    return ValidationFailed(errors=[_error(pointer, code, message)])


def _error(pointer: str, code: str, message: str) -> FieldError:
    return FieldError(pointer=pointer, code=code, message=message)


_NAMES = ", ".join(_MEMBERS)

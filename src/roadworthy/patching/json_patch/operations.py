"""Check and apply RFC 6902 operations, with the `jsonpatch` library and limits."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from pydantic import BaseModel

from roadworthy._internal.extras import extra
from roadworthy._internal.read_json import MAX_DEPTH, Json
from roadworthy.patching.errors import PatchTestFailed
from roadworthy.patching.joining.merged import MergedObject, MovedValue
from roadworthy.patching.joining.merging import merge_over
from roadworthy.patching.json_patch.document import ShownLeaf, ShownObject, plain, same_json, shown
from roadworthy.patching.json_patch.outcome import merged_value, replacing
from roadworthy.patching.patch import Operations
from roadworthy.problems import FieldError, ValidationFailed

with extra("json-patch", of="JSON Patch"):
    import jsonpatch
    from jsonpointer import EndOfList, JsonPointer, JsonPointerException

__all__ = ["apply_operations", "check"]

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
    """Return the operations of a body, after each is checked by RFC 6902 §4.

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


def apply_operations(operations: Operations, current: BaseModel) -> MergedObject:
    """Return the merged object that operations make of the current one.

    Raises:
        PatchTestFailed: 409. A `test` does not hold.
        ValidationFailed: 422. An operation has no place to work on.
    """
    after: Any = shown(current)
    budget = MAX_COPIED
    for index, operation in enumerate(operations):
        budget -= _carried(index, operation, after)
        if budget < 0:
            raise _refused(f"/{index}", "too_long", "Input should copy less")
        after = _step(index, operation, after)
    if not isinstance(after, ShownObject) or after.value is not current:
        raise _refused("", "dict_type", "The outcome should be an object")
    outcome = merged_value(after)
    return cast(
        "MergedObject", merge_over(current, {}) if isinstance(outcome, MovedValue) else outcome
    )


def _step(index: int, operation: Mapping[str, Any], document: Any) -> Any:
    try:
        if operation["op"] == "test":
            return _tested(operation, document)
        changed = _in_place_of(operation, document)
        return jsonpatch.JsonPatch([changed]).apply(document, in_place=True)
    except (jsonpatch.JsonPatchException, JsonPointerException):
        # The cause may quote what is there.
        raise _refused(f"/{index}", "no_such_place", "Input should fit the resource") from None


def _tested(operation: Mapping[str, Any], document: Any) -> Any:
    """Check a `test` operation against the JSON that answers show."""
    try:
        there = JsonPointer(operation["path"]).resolve(document)
    except JsonPointerException:
        raise PatchTestFailed from None
    if isinstance(there, EndOfList) or not same_json(plain(there), operation["value"]):
        raise PatchTestFailed
    return document


def _in_place_of(operation: Mapping[str, Any], document: Any) -> dict[str, Any]:
    """Return an operation whose new object keeps hidden fields of the replaced one."""
    if operation["op"] not in {"add", "replace"}:
        return dict(operation)
    path = JsonPointer(operation["path"])
    parent = JsonPointer.from_parts(path.parts[:-1]).resolve(document, None)
    if operation["op"] == "add" and isinstance(parent, list):
        return dict(operation)  # it goes in beside what is there
    there = path.resolve(document, None)
    return {**operation, "value": replacing(there, operation["value"])}


def _carried(index: int, operation: Mapping[str, Any], document: Any) -> int:
    """Return the number of characters that an operation copies or moves."""
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
    node = node.shown if isinstance(node, ShownLeaf) else node
    return len(node) + 2 if isinstance(node, str) else 2


def _children(node: Any) -> Iterator[Any]:
    node = node.shown if isinstance(node, ShownLeaf) else node
    if isinstance(node, dict):
        for name, child in cast("dict[str, Any]", node).items():
            yield name
            yield child
    elif isinstance(node, list):
        yield from cast("list[Any]", node)


def _refused(pointer: str, code: str, message: str) -> ValidationFailed:
    return ValidationFailed(errors=[_error(pointer, code, message)])


def _error(pointer: str, code: str, message: str) -> FieldError:
    return FieldError(pointer=pointer, code=code, message=message)


_NAMES = ", ".join(_MEMBERS)

"""Say why a test of somebody else's suite fails under our parts: by what clients were answered."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["CAUSES", "Run", "Told", "cause_of", "read"]

SHAPE: Final = "the shape of the error body"
OPENAPI: Final = "what the contract adds to OpenAPI"
BODIES: Final = "the code of a body that does not parse, or is of another type"
CRASH: Final = "a crash is answered and logged, and not raised to the server"
NONE: Final = "unexplained"

CAUSES: Final = (SHAPE, OPENAPI, BODIES, CRASH)
"""The differences that docs/how-to/errors.md promises. Anything else is a fault."""

_CODES_OF_BODIES: Final = frozenset({(422, 400), (422, 415), (400, 415), (200, 415), (413, 415)})
"""What FastAPI answers to such a body, and what the contract answers."""

FIRST_ERROR: Final = 400
SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of one test in one run."""

    outcome: str
    why: str
    exchanges: list[dict[str, Any]]


Run = dict[str, Told]
"""Each test of a suite by its name."""


def read(folder: Path) -> Run:
    """Return what the plugin wrote into `folder`."""
    run: Run = {}
    for line in _lines(folder.glob("*.jsonl")):
        told = json.loads(line)
        if run.get(told["test"], Told("passed", "", [])).outcome != "failed":
            run[told["test"]] = Told(told["outcome"], told["why"], told["exchanges"])
    return run


def _lines(files: Iterable[Path]) -> Iterator[str]:
    for file in files:
        with file.open() as lines:
            yield from lines


def cause_of(plain: Told, ours: Told) -> str:
    """Return why `ours` failed where `plain` passed: one of `CAUSES`, or "unexplained".

    The last exchange that differs decides, since a test stops at what it did not expect.
    """
    pairs = list(zip(plain.exchanges, ours.exchanges, strict=False))
    for before, after in reversed(pairs):
        if _facts(before) != _facts(after):
            return _cause(before, after)
    return NONE


def _facts(exchange: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(exchange.get(name) for name in ("url", "raised", "status", "type", "body"))


def _cause(before: dict[str, Any], after: dict[str, Any]) -> str:
    statuses = (before.get("status"), after.get("status"))
    if _is_answered_crash(before, after):
        return CRASH
    if None in statuses or before["url"] != after["url"]:
        return NONE
    if statuses in _CODES_OF_BODIES:
        return BODIES
    if statuses[0] != statuses[1]:
        return NONE
    if statuses[0] >= FIRST_ERROR:
        return SHAPE if _is_ours(after) else NONE
    return OPENAPI if _same_but_for_errors(before, after) else NONE


def _is_answered_crash(before: dict[str, Any], after: dict[str, Any]) -> bool:
    if "raised" not in before or "raised" in after or before["url"] != after["url"]:
        return False
    same = all(before.get(name) == after.get(name) for name in ("status", "body"))
    return same or (after.get("status") == SERVER_ERROR and _is_ours(after))


def _is_ours(exchange: dict[str, Any]) -> bool:
    document = _json(exchange)
    return isinstance(document, dict) and set(document) in ({"error"}, _MEMBERS)


_MEMBERS: Final = {"type", "title", "status", "detail", "instance", "code", "request_id", "errors"}


def _same_but_for_errors(before: dict[str, Any], after: dict[str, Any]) -> bool:
    one, other = _json(before), _json(after)
    if not isinstance(one, dict) or "openapi" not in one or not isinstance(other, dict):
        return False
    return _without_errors(one) == _without_errors(other)


_OUR_PATHS: Final = ("/health", "/livez", "/readyz", "/readyz/{check}", "/startupz")
"""What `Health` adds."""


def _without_errors(document: dict[str, Any]) -> Any:
    """Return an OpenAPI document without what it says of errors, and of nobody's schemas."""
    for path in _OUR_PATHS:
        document.get("paths", {}).pop(path, None)
    for operation in _operations(document):
        responses = operation.get("responses", {})
        operation["responses"] = {
            code: _without_headers(response)
            for code, response in responses.items()
            if code[0] not in "45" and code != "default"
        }
    schemas = document.get("components", {}).get("schemas", {})
    for name in [n for n in schemas if not _is_used(n, document)]:
        del schemas[name]
    document.get("components", {}).pop("headers", None)
    return _tidy(document)


def _without_headers(response: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in response.items() if name != "headers"}


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in [*document.get("paths", {}).values(), *document.get("webhooks", {}).values()]:
        for operation in item.values():
            if isinstance(operation, dict):
                yield operation
                yield from _operations_of_callbacks(operation)


def _operations_of_callbacks(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for callback in operation.get("callbacks", {}).values():
        yield from _operations({"paths": callback})


def _is_used(name: str, document: dict[str, Any]) -> bool:
    reference = f"#/components/schemas/{name}"
    outside = {key: value for key, value in document.items() if key != "components"}
    wanted, seen = _references(outside), set[str]()
    while wanted - seen:
        one = (wanted - seen).pop()
        seen.add(one)
        schema = document["components"]["schemas"].get(one.rpartition("/")[2])
        wanted |= _references(schema)
    return reference in seen


def _references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set[str]()
        return own.union(*(_references(value) for value in node.values()))
    if isinstance(node, list):
        return set[str]().union(*(_references(value) for value in node))
    return set()


def _tidy(node: Any) -> Any:
    if isinstance(node, dict):
        kept = {key: _tidy(value) for key, value in node.items()}
        return {key: value for key, value in kept.items() if value != {}}
    return [_tidy(value) for value in node] if isinstance(node, list) else node


def _json(exchange: dict[str, Any]) -> Any:
    try:
        return json.loads(exchange.get("body") or "")
    except ValueError:
        return None

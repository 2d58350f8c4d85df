"""Describe the body of a PATCH in OpenAPI, with the schema of the derived patch."""

import json
from typing import Any, Final, cast

from roadworthy.patching.patch import Patch

__all__ = ["JSON", "JSON_PATCH_JSON", "MERGE_PATCH_JSON", "document", "inline", "json_patch_schema"]

MERGE_PATCH_JSON: Final = "application/merge-patch+json"
"""The media type of RFC 7396."""
JSON_PATCH_JSON: Final = "application/json-patch+json"
"""The media type of RFC 6902."""
JSON: Final = "application/json"
"""The media type of plain JSON (RFC 8259)."""

_REF: Final = "#/components/schemas/"
_POINTER: Final = {"type": "string", "format": "json-pointer", "description": "RFC 6901"}


def document(
    operation: dict[str, Any],
    components: dict[str, Any],
    *,
    kind: type[Patch[Any]],
    media_types: tuple[str, ...],
    allow_empty: bool,
) -> None:
    """Write the body of a PATCH into an operation, its schemas into components."""
    schema = _not_empty(_placed(kind, components), allow_empty=allow_empty)
    if JSON_PATCH_JSON in media_types:
        components.setdefault("JsonPatch", json_patch_schema())
    operation["requestBody"] = _request_body(
        media_types, schema=schema, json_patch={"$ref": f"{_REF}JsonPatch"}
    )


def inline(
    kind: type[Patch[Any]], media_types: tuple[str, ...], *, allow_empty: bool
) -> dict[str, Any]:
    """Return the body of a PATCH as `openapi_extra=`, with no references."""
    schema = kind.model_json_schema()
    defs = cast("dict[str, Any]", schema.pop("$defs", {}))
    schema = _not_empty(_inlined(schema, defs, ()), allow_empty=allow_empty)
    return {
        "requestBody": _request_body(media_types, schema=schema, json_patch=json_patch_schema())
    }


def _not_empty(schema: dict[str, Any], *, allow_empty: bool) -> dict[str, Any]:
    return schema if allow_empty else {**schema, "minProperties": 1}


def _request_body(
    media_types: tuple[str, ...], *, schema: dict[str, Any], json_patch: dict[str, Any]
) -> dict[str, Any]:
    content = {
        media_type: {"schema": json_patch if media_type == JSON_PATCH_JSON else schema}
        for media_type in media_types
    }
    return {"required": True, "content": content}


def json_patch_schema() -> dict[str, Any]:
    """Return the schema of a JSON Patch document (RFC 6902 §3)."""
    return {
        "title": "JsonPatch",
        "description": "Operations that are applied in order, all or none (RFC 6902).",
        "type": "array",
        "minItems": 1,
        "items": {
            "oneOf": [
                _operation(["add", "replace", "test"], "value", {}),
                _operation(["move", "copy"], "from", _POINTER),
                _operation(["remove"]),
            ]
        },
    }


def _operation(names: list[str], member: str = "", schema: Any = None) -> dict[str, Any]:
    more = {member: schema} if member else {}
    return {
        "type": "object",
        "required": ["op", "path", *more],
        "properties": {"op": {"enum": names}, "path": _POINTER, **more},
    }


def _placed(kind: type[Patch[Any]], components: dict[str, Any]) -> dict[str, Any]:
    """Move a patch's schema and those it refers to into the components."""
    schema = kind.model_json_schema(ref_template=_REF + "{model}")
    schemas = cast("dict[str, Any]", schema.pop("$defs", {}))
    if "$ref" in schema:  # a patch that holds itself is among its own definitions
        name = cast("str", schema["$ref"]).removeprefix(_REF)
    else:
        name = kind.__name__
        schemas[name] = schema
    names = {old: _free_name(old, schemas[old], components, kind.__module__) for old in schemas}
    for old, new in names.items():
        components[new] = _renamed(schemas[old], names)
    return {"$ref": _REF + names[name]}


def _free_name(name: str, schema: Any, components: dict[str, Any], module: str) -> str:
    if components.get(name, schema) == schema:
        return name
    return f"{module.replace('.', '__')}__{name}"  # as FastAPI names its own twins


def _renamed(schema: Any, names: dict[str, str]) -> Any:
    text = json.dumps(schema)
    for old, new in names.items():
        if old != new:
            text = text.replace(json.dumps(_REF + old), json.dumps(_REF + new))
    return json.loads(text)


def _inlined(node: Any, defs: dict[str, Any], above: tuple[str, ...]) -> Any:
    match node:
        case {"$ref": str(ref)}:
            name = ref.rpartition("/")[2]
            rest = {k: v for k, v in cast("dict[str, Any]", node).items() if k != "$ref"}
            if name in above:  # it holds itself: one level is shown
                return {"type": "object", **rest}
            return {**_inlined(defs[name], defs, (*above, name)), **rest}
        case dict():
            pairs = cast("dict[str, Any]", node).items()
            return {key: _inlined(value, defs, above) for key, value in pairs}
        case list():
            return [_inlined(item, defs, above) for item in cast("list[Any]", node)]
        case _:
            return node

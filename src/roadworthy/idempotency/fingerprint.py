"""The fingerprint of a request: equal for repeats, else different."""

import hashlib
import json
from typing import Any, Final

from fastapi import Request
from starlette.datastructures import UploadFile

from roadworthy import _fastapi
from roadworthy._internal.read_json import Unreadable, read_json

__all__ = ["digest", "fingerprint_of"]

_CHUNK_BYTES: Final = 256 * 1024


async def fingerprint_of(request: Request) -> str:
    """Return the digest of a request's method, target, media type and body.

    JSON counts by its content, not by its spelling; a form by its fields and files. A body that
    the route reads as a stream does not count, because it may not fit into memory.
    """
    scope = request.scope
    target = f"{scope['path']}?{scope['query_string'].decode('latin-1')}"
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return digest(request.method, target, media_type, await _body(request, media_type))


def digest(*parts: str) -> str:
    """Return the SHA-256, in hex, of texts and of where each of them ends."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


async def _body(request: Request, media_type: str) -> str:
    route = _fastapi.route_of(request.scope)
    if getattr(route, "body_field", None) is not None and not _fastapi.takes_json(route):
        return await _form(request)
    if media_type.startswith("multipart/") or _fastapi.streams_body(route):
        return ""
    body = await request.body()
    if media_type == "application/json" or media_type.endswith("+json"):
        body = _canonical(body)
    return hashlib.sha256(body).hexdigest()


def _canonical(body: bytes) -> bytes:
    try:
        return json.dumps(read_json(body), sort_keys=True).encode()
    except Unreadable:
        return body


async def _form(request: Request) -> str:
    fields: list[Any] = []
    for name, value in (await request.form()).multi_items():
        if isinstance(value, UploadFile):
            fields.append([name, value.filename, value.content_type, await _file(value)])
        else:
            fields.append([name, value])
    return digest(json.dumps(fields))


async def _file(file: UploadFile) -> str:
    hashed = hashlib.sha256()
    await file.seek(0)
    while chunk := await file.read(_CHUNK_BYTES):
        hashed.update(chunk)
    await file.seek(0)
    return hashed.hexdigest()

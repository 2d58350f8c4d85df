"""JSON (RFC 8259) and lines of it: the file types `JSON` and `NDJSON`.

A file is one whole JSON text in UTF-8 with nothing after it, and without NaN, comments or trailing
commas. A byte order mark is allowed, and stays in the file. Objects with a key twice, and
surrogates without their other half, are accepted: the standard says that readers differ on them.
"""

import re
from typing import Final

from roadworthy.uploads.arguments import limited
from roadworthy.uploads.stored import MiB
from roadworthy.uploads.types.inspecting.filetype import FileType
from roadworthy.uploads.types.inspecting.push_parser import PushParser
from roadworthy.uploads.types.texts.json_or_lines import JsonOrLines
from roadworthy.uploads.types.texts.json_reader import JsonReader

__all__ = ["JSON", "MAX_DEPTH", "MAX_STRING", "NDJSON", "json_within", "ndjson_within"]

MAX_DEPTH: Final = 100
"""How deep arrays and objects may be nested: Python's reader gives up at some 1,000."""
MAX_STRING: Final = 16 * MiB
"""The most bytes of a string as written: a picture of 12 MiB in base64."""

_BEGINS: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?[ \t\r\n]*(?:\{[ \t\r\n]*(?:[\"}]|\Z)"
    rb"|\[[ \t\r\n]*(?:[\[\]{\"0-9-]|true|false|null|\Z))"
)
_LINES: Final = (
    "application/ndjson",
    "application/x-ldjson",
    "application/ldjson",
    "application/jsonl",
    "application/x-jsonl",
    "application/jsonlines",
    "application/x-jsonlines",
    "application/json-lines",
    "application/x-json-lines",
    "application/stream+json",
    "application/x-json-stream",
    "text/x-ndjson",
    "text/ndjson",
    "text/jsonl",
    "text/x-jsonl",
    "text/jsonlines",
)
"""Media types for lines of JSON; none of them is registered."""


@limited
def json_within(*, max_depth: int = MAX_DEPTH, max_string: int = MAX_STRING) -> FileType:
    """Make a `JSON` with limits of your own.

    Args:
        max_depth: How deep arrays and objects may be nested.
        max_string: The most bytes of a string or name, as written.
    """
    return FileType(
        "application/json",
        ".json",
        _begins,
        lambda: PushParser(JsonReader(max_depth, max_string).read),
        # `+json` ends structured types (RFC 6839 §3.1): GeoJSON, JSON-LD, manifests.
        aliases=("*/*+json", "text/json", "application/x-json", "text/x-json"),
        together=JsonOrLines,
    )


@limited
def ndjson_within(*, max_depth: int = MAX_DEPTH, max_string: int = MAX_STRING) -> FileType:
    """Make an `NDJSON` with limits of your own, as `json_within` explains them."""
    return FileType(
        "application/x-ndjson",
        ".ndjson",
        _begins,
        lambda: PushParser(JsonReader(max_depth, max_string, lines=True).read),
        aliases=_LINES,
        breadth=1,
        together=JsonOrLines,
    )


def _begins(head: bytes) -> bool:
    return _BEGINS.match(head) is not None


JSON: Final = json_within()
"""`application/json` (RFC 8259): an object or an array."""
NDJSON: Final = ndjson_within()
"""`application/x-ndjson`: JSON texts on lines. Beside `JSON`, a single line is JSON."""

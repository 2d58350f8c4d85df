"""JSON (RFC 8259) and lines of it: the file types `JSON` and `NDJSON`.

One text, whole, in UTF-8, and nothing after it; no NaN, no comments, no comma too many. A
byte order mark in front is passed over, and stays in the file. Of objects with one key
twice, and of surrogates that stand alone (half of a pair), the standard says that readers
differ; they are taken.
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
"""Arrays and objects in each other: Python's own reader gives up at some 1,000."""
MAX_STRING: Final = 16 * MiB
"""Bytes of a string, as it is written: a picture of 12 MiB in base64."""

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
"""Media types for lines of JSON: none is registered, each is some tool's."""


@limited
def json_within(*, max_depth: int = MAX_DEPTH, max_string: int = MAX_STRING) -> FileType:
    """Make a `JSON` with limits of your own.

    Args:
        max_depth: How many arrays and objects may be in each other.
        max_string: Bytes that a string or name may have, as it is written.
    """
    return FileType(
        "application/json",
        ".json",
        _begins,
        lambda: PushParser(JsonReader(max_depth, max_string).read),
        # `+json` is what structured types end in (RFC 6839 §3.1): GeoJSON, JSON-LD, manifests.
        aliases=("*/*+json", "text/json", "application/x-json", "text/x-json"),
        together=JsonOrLines,
    )


@limited
def ndjson_within(*, max_depth: int = MAX_DEPTH, max_string: int = MAX_STRING) -> FileType:
    """Make an `NDJSON` with limits of your own, which are those of `json_within`."""
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
"""RFC 8259, `application/json`, that is an object or an array."""
NDJSON: Final = ndjson_within()
"""A JSON text on each line, `application/x-ndjson`. Beside `JSON`, one line alone is JSON."""

"""Check the arguments of an `Upload` when it is made."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from roadworthy._internal.durations import check_duration
from roadworthy.uploads.arguments import check_number, check_text, check_type
from roadworthy.uploads.files import Files
from roadworthy.uploads.types.inspecting.filetype import FileType

__all__ = ["check_extras", "check_pace", "check_sizes", "check_types"]


def check_types(accept: Any) -> None:
    """Check that `accept` is a sequence of file types.

    Raises:
        TypeError: `accept` is no sequence of `FileType`.
        ValueError: `accept` is empty.
    """
    if isinstance(accept, FileType):
        raise TypeError("accept is a sequence of types, not one: write accept=(PDF,).")
    check_type("accept", accept, Sequence, "a sequence of types", "(PNG, JPEG, PDF)")
    if not accept:
        raise ValueError("accept is empty: name what is taken, such as accept=(PNG, JPEG).")
    for kind in accept:
        if not isinstance(kind, FileType):
            raise TypeError(
                f"accept has {kind!r} in it, which is no FileType: write accept=(PNG, JPEG, PDF), "
                "from roadworthy.uploads.types."
            )


def check_sizes(
    *, max_bytes: Any, max_files: Any, max_total_bytes: Any, max_fields: Any, max_field_bytes: Any
) -> None:
    """Check that size limits are numbers.

    Raises:
        TypeError: A limit is no whole number.
        ValueError: A limit is too small.
    """
    check_number("max_bytes", max_bytes, example="5 * MiB")
    check_number("max_files", max_files, example="10")
    if max_total_bytes is not None:
        check_number("max_total_bytes", max_total_bytes, example="50 * MiB")
    check_number("max_fields", max_fields, least=0, example="32")
    check_number("max_field_bytes", max_field_bytes, least=0, example="64 * KiB")


def check_pace(*, timeout: timedelta, idle: timedelta, min_rate: Any) -> None:
    """Check the durations and the least rate.

    Raises:
        TypeError: An argument is of another type.
        ValueError: An argument is too small.
    """
    check_duration("timeout", timeout, above_zero=True)
    check_duration("idle", idle, above_zero=True)
    check_number("min_rate", min_rate, least=0, example="1 * KiB")


def check_extras(
    *, field: Any, prefix: Any, checks: Any, conversions: Any, messages: Any, files: Any
) -> None:
    """Check names, checks, conversions and messages.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The name of the field is empty.
    """
    check_text("field", field, example="file")
    check_text("prefix", prefix, example="documents/", empty=True)
    check_type("checks", checks, Sequence, "a sequence", '[ClamAV("tcp://127.0.0.1:3310")]')
    for check in checks:
        if not callable(getattr(check, "open", None)) or isinstance(check, type):
            raise TypeError(f"checks has {check!r} in it, without open(): write [ClamAV(...)].")
    check_type("conversions", conversions, Mapping, "a mapping by type", "{PNG: Reencode()}")
    for kind, conversion in conversions.items():
        if not isinstance(kind, FileType) or not callable(getattr(conversion, "convert", None)):
            raise TypeError("conversions is by type of file: write conversions={PNG: Reencode()}.")
    if not callable(messages):
        check_type("messages", messages, Mapping, "a mapping or function", '{"empty": "..."}')
        _check_messages(messages)
    if not isinstance(files, type) or not issubclass(files, Files):
        raise TypeError("files is the type of the part to find: write files=Files.")


def _check_messages(messages: Mapping[Any, Any]) -> None:
    for reason, text in messages.items():
        if isinstance(text, Mapping):
            raise TypeError(
                "messages is by reason. For texts by language write messages=by_language({...})."
            )
        check_text("messages", reason, example="empty")
        check_type(f'messages["{reason}"]', text, str, "text", "...")

"""Read a form of the console: its fields by name, with a bound on its size."""

from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from roadworthy.console.errors import FormTooLarge

__all__ = ["MAX_BYTES", "fields_of"]

MAX_BYTES: Final = 64 * 1024
"""Bytes of a form: its fields are names and ids."""
_MAX_FIELDS: Final = 200


async def fields_of(request: Request) -> dict[str, str]:
    """Return the fields of a urlencoded form; of two with one name, the last counts.

    Raises:
        FormTooLarge: 413.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise FormTooLarge(max_bytes=MAX_BYTES)
    text = body.decode("utf-8", "replace")
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except ValueError:
        raise FormTooLarge(max_bytes=MAX_BYTES) from None

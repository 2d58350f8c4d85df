"""Uploads: what is in progress, what was refused and why, what waits for the sweep."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Query
from markupsafe import Markup
from starlette.responses import Response

from roadworthy import problem_log
from roadworthy.console.page import Page
from roadworthy.console.quarters import WINDOWS, draw, window_of
from roadworthy.console.reading import reading
from roadworthy.console.visit import Seen
from roadworthy.problem_log import Kind

if TYPE_CHECKING:
    from roadworthy.uploads import Files

__all__ = ["PAGE", "show"]

_STORE_SECONDS: Final = 2.0
"""An object store that is away must not hold the page up."""
_ROWS: Final = 30
_CODES: Final = (
    *("FILE_REJECTED", "UNSUPPORTED_MEDIA_TYPE", "PAYLOAD_TOO_LARGE", "DIGEST_MISMATCH"),
    *("CHECKSUM_MISMATCH", "UPLOAD_GONE", "UPLOAD_NOT_FOUND", "UPLOAD_BUSY"),
    *("UPLOAD_INTERRUPTED", "OFFSET_CONFLICT", "TOO_MANY_PIECES", "NOT_UPLOADED"),
    *("INSUFFICIENT_STORAGE", "TICKET_INVALID", "TUS_HEADER_INVALID", "TUS_VERSION_UNSUPPORTED"),
)


async def show(visit: Seen, *, since: Annotated[str, Query(max_length=20)] = "") -> Response:
    """Show the uploads of a service: those of its store, and those it has refused."""
    files = visit.parts.files or visit.missing()
    word, window = window_of(since)
    found, failed = await _in_progress(files)
    refused: list[tuple[Kind, int]] = []
    chart = Markup()
    if visit.parts.problem_log is not None:
        async with reading(visit.parts.problem_log.database) as connection:
            refused = await problem_log.by_kind(connection, since=window, codes=_CODES, most=_ROWS)
            quarters = await problem_log.by_quarter(connection, since=window, codes=_CODES)
        chart = draw(quarters, window, title="Refused uploads")
    return visit.page(
        "uploads.html",
        title="Uploads",
        files=files,
        found=found,
        failed=failed,
        refused=refused,
        chart=chart,
        since=word,
        windows=list(WINDOWS),
    )


async def _in_progress(files: "Files") -> tuple[Any, str]:
    """Return what the store has of unfinished uploads, or why that cannot be read."""
    from roadworthy.uploads.resumable import in_progress  # noqa: PLC0415 - uploads are an extra

    try:
        async with asyncio.timeout(_STORE_SECONDS):
            return await in_progress(files), ""
    except TimeoutError:
        return None, "the store took too long"
    except Exception as error:  # whatever a store of somebody's own raises: the page says it
        return None, f"the store refused ({type(error).__name__})"


PAGE: Final = Page(
    name="uploads", title="Uploads", show=show, is_there=lambda parts: parts.files is not None
)
"""The page of uploads, for the menu."""

"""What type checkers make of preconditions: versions have the type that reads them.

Never run. Each ignore is an assertion: both checkers report it where it is not needed.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from datetime import datetime
from typing import assert_type
from uuid import UUID

from fastapi import Response

from roadworthy.conditional import (
    ETag,
    IfMatch,
    IfNoneMatch,
    Match,
    NoneMatch,
    RequiredIfMatch,
    etag,
    set_etag,
)


async def writes(match: IfMatch, required: RequiredIfMatch, response: Response) -> None:
    assert_type(match, Match)
    assert_type(required, Match)
    assert_type(match.versions(int), tuple[int, ...] | None)
    assert_type(match.versions(str), tuple[str, ...] | None)
    assert_type(match.versions(UUID), tuple[UUID, ...] | None)
    assert_type(match.versions(datetime.fromisoformat), tuple[datetime, ...] | None)
    assert_type(match.allows(None), bool)
    set_etag(response, 7)
    set_etag(response, 7.5)  # type: ignore[arg-type]
    match.versions(float)  # type: ignore[type-var]


async def reads(none_match: IfNoneMatch) -> None:
    assert_type(none_match, NoneMatch)
    none_match.check(etag("sha256"))
    assert_type(etag(7), ETag)

"""Uploads in progress are seen, refusals counted by reason; no name of a file is shown."""

import asyncio
import json
import time

import pytest
from sqlalchemy import insert

from console.shop import ago, opened
from roadworthy import problem_log
from roadworthy.problem_log import ProblemLog
from roadworthy.uploads import Disk, Files
from roadworthy.uploads.resumable import in_progress


async def begin(files: Files, id_: str, *names: str, expires: float = 3600, **told) -> None:
    """Write what an unfinished upload has in the store."""
    info = {
        "length": 10,
        "metadata": "filename c2VjcmV0",
        "filename": "secret.pdf",
        "media_type": "application/<b>",
        "owner": "",
        "expires_at": time.time() + expires,
        **told,
    }
    pieces = {"info": json.dumps(info).encode(), **dict.fromkeys(names, b"1234")}
    for name, data in pieces.items():
        key = f"unfinished/tus/{id_}/{name}"
        await files.add(data, media_type="x/y", filename="x", key=key)


@pytest.fixture
async def files(tmp_path):
    async with Files(Disk(tmp_path)) as opened_files:
        yield opened_files


async def test_what_is_under_way_is_told_with_what_has_come(files):
    await begin(files, "a" * 32, f"{0:016d}", f"{4:016d}")
    await begin(files, "b" * 32, f"{0:016d}", expires=-5)
    await begin(files, "c" * 32, "done")
    await begin(files, "d" * 32, "gone")
    found = await in_progress(files)
    assert {one.id[0]: one.received for one in found.uploads} == {"a": 8, "b": 4}
    assert (found.expired, found.ended, found.more, found.complete) == (1, 2, 0, True)


async def test_no_more_than_asked_for_are_read(files):
    for letter in "abcd":
        await begin(files, letter * 32)
    found = await in_progress(files, most=1)
    assert (len(found.uploads), found.more) == (1, 3)


async def test_what_cannot_be_read_is_not_told_wrong(files):
    await files.add(b"no json", media_type="x/y", filename="x", key="unfinished/tus/x/info")
    (one,) = (await in_progress(files)).uploads
    assert (one.length, one.expires_at) == (None, None)


async def test_the_page_shows_progress_and_no_name_of_a_file(files, tmp_path):
    await begin(files, "a" * 32, f"{0:016d}")
    async with opened(Files(Disk(tmp_path))) as client:
        page = (await client.get("/ops/uploads")).text
    assert "4 B of 10 B" in page
    assert "application/&lt;b&gt;" in page
    assert "secret" not in page
    assert "which this service does not have" in page


async def test_refusals_are_counted_by_reason(tmp_path, db):
    rows = [
        ("FILE_REJECTED", "bomb", 7),
        ("FILE_REJECTED", "pdf_javascript", 2),
        ("PAYLOAD_TOO_LARGE", "", 3),
        ("OUT_OF_STOCK", "", 99),
    ]
    async with db.engine.begin() as connection:
        for code, reason, number in rows:
            row = {"begins_at": ago(minutes=3), "code": code, "status": 422, "route": "/documents"}
            await connection.execute(
                insert(problem_log.counts), row | {"reason": reason, "problems": number}
            )
    async with opened(Files(Disk(tmp_path)), ProblemLog(db)) as client:
        page = (await client.get("/ops/uploads?since=1h")).text
    assert page.index("bomb") < page.index("PAYLOAD_TOO_LARGE") < page.index("pdf_javascript")
    assert "OUT_OF_STOCK" not in page


class Hangs(Disk):
    """A store that does not answer."""

    async def entries(self, prefix=""):
        await asyncio.sleep(60)
        yield


class Fails(Disk):
    """A store that refuses."""

    async def entries(self, prefix=""):
        raise PermissionError("/secret/path")
        yield


@pytest.mark.parametrize(
    ("store", "says"),
    [(Hangs, "the store took too long"), (Fails, "the store refused (PermissionError)")],
)
async def test_a_store_that_is_away_does_not_hold_the_page_up(tmp_path, store, says):
    files = Files(store(tmp_path))
    async with opened(files) as client:
        page = await client.get("/ops/uploads")
    assert page.status_code == 200
    assert says in page.text
    assert "/secret/path" not in page.text


async def test_there_is_no_such_page_without_a_store(db):
    async with opened(ProblemLog(db)) as client:
        assert (await client.get("/ops/uploads")).status_code == 404

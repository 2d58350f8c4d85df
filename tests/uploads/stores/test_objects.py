"""`Objects` keeps the contract of stores, on a real S3 server, and leaves no orphans there."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from anyio import CancelScope

from roadworthy.testing.contract import StoreContract
from roadworthy.uploads import MiB
from roadworthy.uploads.stores.objects import Objects

LARGE = 20 * MiB


def objects(url: str, bucket: str, **options) -> Objects:
    config = {
        "endpoint": url,
        "access_key_id": "any",
        "secret_access_key": "any",
        "region": "us-east-1",
    }
    return Objects(f"s3://{bucket}", config=config, allow_http=True, **options)


@pytest.fixture
def bucket():
    """A place of its own in the one bucket of the server."""
    return f"ready/{uuid4().hex[:12]}"


def unfinished(url: str, bucket: str) -> int:
    listed = httpx.get(f"{url}/ready?uploads").text
    return listed.count(f"<Key>{bucket.partition('/')[2]}")


class TestObjects(StoreContract):
    @pytest.fixture(autouse=True)
    def place(self, object_url, bucket):
        self.url, self.bucket = object_url, bucket

    def make_store(self):
        return objects(self.url, self.bucket)


@pytest.mark.parametrize("moment", [0.0, 0.01, 0.05, 0.2])
async def test_a_writing_that_is_cancelled_leaves_no_unfinished_upload(object_url, bucket, moment):
    store = objects(object_url, bucket)

    async def write() -> None:
        async with store.writing("a/b", media_type="text/plain", content_disposition="a") as file:
            for _ in range(LARGE // MiB):
                await file.write([b"x" * MiB], lambda _: None)
            await asyncio.sleep(60)

    task = asyncio.create_task(write())
    await asyncio.sleep(moment)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert unfinished(object_url, bucket) == 0
    assert [entry async for entry in store.entries()] == []


async def test_a_writing_that_is_cancelled_without_end_leaves_no_unfinished_upload(
    object_url, bucket
):
    store = objects(object_url, bucket)
    with CancelScope() as scope:
        async with store.writing("a/b", media_type="text/plain", content_disposition="a") as file:
            for _ in range(LARGE // MiB):
                await file.write([b"x" * MiB], lambda _: None)
            begun = unfinished(object_url, bucket)
            scope.cancel()
            await asyncio.sleep(60)

    assert (begun, unfinished(object_url, bucket)) == (1, 0)


async def test_a_presigned_address_takes_and_gives_a_file(object_url, bucket):
    store = objects(object_url, bucket)

    put = await store.presign_put("a/b", media_type="text/plain", expires=timedelta(minutes=1))
    get = await store.presign_get("a/b", expires=timedelta(minutes=1))
    async with httpx.AsyncClient() as client:
        sent = await client.request(put.method, put.url, headers=put.headers, content=b"hello")
        got = await client.get(get.url)

    assert sent.status_code == 200
    assert got.content == b"hello"


@pytest.mark.parametrize("large", [False, True])
async def test_the_store_serves_a_file_as_what_it_was_found_to_be(object_url, bucket, large):
    store = objects(object_url, bucket)
    served = {"media_type": "text/plain", "content_disposition": 'attachment; filename="a.txt"'}
    async with store.writing("a/b", **served) as file:
        await file.write([b"x" * (LARGE if large else 1)], lambda _: None)
        await file.commit()

    get = await store.presign_get("a/b", expires=timedelta(minutes=1))
    async with httpx.AsyncClient() as client:
        answer = await client.get(get.url)

    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["content-disposition"] == 'attachment; filename="a.txt"'


async def test_a_file_that_is_replaced_while_it_is_read_is_an_error_and_no_mixture(
    object_url, bucket
):
    store = objects(object_url, bucket)
    put = await store.presign_put("a/b", media_type="text/plain", expires=timedelta(minutes=1))
    async with httpx.AsyncClient() as client:
        await client.put(put.url, headers=put.headers, content=b"first")
        async with store.reading("a/b") as reading:
            await client.put(put.url, headers=put.headers, content=b"other")
            with pytest.raises(OSError, match="the object store failed"):
                [chunk async for chunk in reading.chunks()]


async def test_a_server_that_is_away_is_an_error_in_time(bucket):
    store = objects("http://127.0.0.1:9", bucket, timeout=timedelta(seconds=2))

    async with asyncio.timeout(15):
        with pytest.raises(OSError, match="the object store failed"):
            await store.delete("a/b")

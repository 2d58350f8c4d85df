"""`Objects`: files in S3 and compatible object stores, through obstore.

    files = Files(Objects("s3://bucket/prefix"))

A file of up to one part is one request. A larger file is a multipart upload, which is sent while
the client sends, and is aborted unless `commit` ends it. obstore aborts an upload when its
source fails, but not when the call is cancelled, so calls are never cancelled here.
"""

from roadworthy._internal.extras import extra

with extra("s3", of="roadworthy.uploads.stores.objects"):
    import obstore

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Final, Self, cast

from obstore.store import from_url

from roadworthy._internal.durations import check_duration
from roadworthy.uploads.arguments import check_number, check_text, check_type
from roadworthy.uploads.store import Entry, Presigned
from roadworthy.uploads.stored import MiB
from roadworthy.uploads.stores.keys import is_key, segments_of
from roadworthy.uploads.stores.object_files import ObjectReading, ObjectWriting, failures

__all__ = ["Objects"]

_CONNECT: Final = timedelta(seconds=5)
# A thread that has handed over its last answer still needs the interpreter for a moment
# (PyO3/pyo3-async-runtimes, issue 40).
_LETTING_GO: Final = 0.05


class Objects:
    """Store files in an object store, `s3://bucket/prefix` or others of obstore.

    A file is never replaced. For files of one part the store sees to that; for larger files it
    is asked at their end. An upload of more than one part holds up to three parts in memory. The
    remains of a multipart upload of a killed process cannot be listed here: give the bucket a
    lifecycle rule that aborts incomplete uploads after a day.

    Args:
        url: `s3://bucket/prefix`, or another URL that obstore knows.
        config: Settings of obstore, such as `{"endpoint": ..., "access_key_id": ...}`. obstore
            looks for what is missing in the `AWS_*` variables, then asks the machine or pod.
        credential_provider: A provider of credentials, as obstore takes it.
        timeout: How long a request may take with all its repeats.
        part_bytes: Bytes of a part.
        allow_http: Whether the endpoint may be an `http://` URL.
    """

    def __init__(
        self,
        url: str,
        *,
        config: Mapping[str, Any] | None = None,
        credential_provider: Any = None,
        timeout: timedelta = timedelta(seconds=30),
        part_bytes: int = 8 * MiB,
        allow_http: bool = False,
    ) -> None:
        check_text("url", url, example="s3://bucket/prefix")
        if config is not None:
            check_type("config", config, Mapping, "a mapping", '{"endpoint": "..."}')
        check_duration("timeout", timeout, above_zero=True)
        check_number("part_bytes", part_bytes, example="8 * MiB")
        check_type("allow_http", allow_http, bool, "True or False", "True")
        if part_bytes < 5 * MiB:
            raise ValueError("part_bytes is too small: S3 takes parts of 5 MiB and more.")
        self._store: Any = _open(url, config, credential_provider, timeout, allow_http=allow_http)
        self._part_bytes = part_bytes

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for obstore's threads: the end of the process under them is a crash."""
        await asyncio.sleep(_LETTING_GO)

    def writing(self, key: str, *, media_type: str, content_disposition: str) -> ObjectWriting:
        """Return a new file to write: nothing is stored before its first part is full."""
        segments_of(key)
        attributes = {"Content-Type": media_type, "Content-Disposition": content_disposition}
        return ObjectWriting(self._store, key, attributes, self._part_bytes)

    def reading(self, key: str) -> ObjectReading:
        """Return a file to read; reads raise `OSError` if it is deleted meanwhile."""
        segments_of(key)
        return ObjectReading(self._store, key)

    async def delete(self, key: str) -> None:
        """Delete a file. A missing file is no error."""
        segments_of(key)
        with failures():
            try:
                await obstore.delete_async(self._store, key)
            except FileNotFoundError:
                return

    async def entries(self, prefix: str = "") -> AsyncIterator[Entry]:
        """Yield the files whose keys start with `prefix`."""
        folder = prefix.rpartition("/")[0]
        if folder and not is_key(folder):
            return
        pages = cast("Any", obstore).list(self._store, folder or None)
        while True:
            with failures():
                page: Any = await anext(aiter(pages), None)
            if page is None:
                return
            for found in page:
                if found["path"].startswith(prefix) and is_key(found["path"]):
                    yield Entry(found["path"], found["size"], found["last_modified"])

    async def sweep_unfinished(self, *, older_than: timedelta) -> int:
        """Do nothing: a lifecycle rule of the store aborts unfinished uploads."""
        return 0

    async def presign_put(self, key: str, *, media_type: str, expires: timedelta) -> Presigned:
        """Return a request that writes a file under this key."""
        return await self._presign("PUT", key, expires, {"Content-Type": media_type})

    async def presign_get(self, key: str, *, expires: timedelta) -> Presigned:
        """Return a request that reads a file, answered with these headers."""
        return await self._presign("GET", key, expires, {})

    async def _presign(
        self, method: Any, key: str, expires: timedelta, headers: dict[str, str]
    ) -> Presigned:
        segments_of(key)
        with failures():
            url = await obstore.sign_async(self._store, method, key, expires)
        return Presigned(method, url, headers, datetime.now(UTC) + expires)


def _open(
    url: str,
    config: Mapping[str, Any] | None,
    credential_provider: Any,
    timeout: timedelta,
    *,
    allow_http: bool,
) -> Any:
    given: dict[str, Any] = {
        "client_options": {
            "timeout": timeout,
            "connect_timeout": min(timeout, _CONNECT),
            "allow_http": allow_http,
        },
        "retry_config": {"max_retries": 3, "retry_timeout": timeout},
    }
    if config is not None:
        given["config"] = dict(config)
    if credential_provider is not None:
        given["credential_provider"] = credential_provider
    make = cast("Any", from_url)
    return make(url, **given)

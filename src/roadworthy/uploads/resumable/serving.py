"""`Serving`: answer the requests of the tus protocol."""

import logging
import re
import secrets
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from roadworthy import _fastapi
from roadworthy._internal.finish import to_its_end
from roadworthy.lifespan import find
from roadworthy.problems import PayloadTooLarge, Problem, UnsupportedMediaType
from roadworthy.uploads import metrics
from roadworthy.uploads.files import Files
from roadworthy.uploads.receiving.file_receiver import left_to_the_sweep, store_failures
from roadworthy.uploads.receiving.policy import Policy
from roadworthy.uploads.receiving.request_body import RequestBody, declared_length
from roadworthy.uploads.resumable.chunk_receiver import ChunkReceiver
from roadworthy.uploads.resumable.completing import Completed, complete, settling
from roadworthy.uploads.resumable.creating import (
    has_body,
    hashed,
    info_of,
    location_of,
    require_content_type,
)
from roadworthy.uploads.resumable.errors import OffsetConflict, TooManyPieces, UploadNotFound
from roadworthy.uploads.resumable.headers import checksum_of, http_date, number_of
from roadworthy.uploads.resumable.piece_writer import Overtaken
from roadworthy.uploads.resumable.unfinished import (
    CompletionAttempt,
    UnfinishedUpload,
    UploadInfo,
    UploadState,
)
from roadworthy.uploads.resumable.upload_locks import UploadLock, UploadLocks
from roadworthy.uploads.stored import Stored

__all__ = ["Serving"]

log = logging.getLogger("roadworthy.uploads")

_ID: Final = re.compile(r"[0-9a-f]{32}")
_MAX_PIECES: Final = 10_000
"""The most pieces of an upload: each request lists them."""
_FIRST_FAILURE: Final = 500


class Serving:
    """Serve the uploads of one policy."""

    def __init__(self, policy: Policy, files: type[Files]) -> None:
        self._policy, self._files = policy, files
        self._locks = UploadLocks()

    async def create(self, request: Request, owner: str) -> Response:
        """Create an upload, with its first bytes if the request has some.

        The last byte is never taken here: it has to come to the route that keeps the file.
        """
        files = find(request, self._files)
        info = info_of(request, self._policy, owner=owner, lifetime=files.unfinished_for)
        _refuse_long(request, info.length)
        upload_id = secrets.token_hex(16)
        upload = UnfinishedUpload(files, upload_id)
        try:
            with store_failures(), await self._locks.take(upload_id) as holder:
                await upload.create(info)
                offset = await self._first(request, files, upload, UploadState(info=info), holder)
        except BaseException as error:  # the client does not know the address of the upload
            with left_to_the_sweep():
                await to_its_end(upload.forget())
            if isinstance(error, Problem):
                metrics.refused(error.code)
            raise
        headers = {"Location": location_of(request, upload_id), **_standing(offset, info)}
        return Response(status_code=201, headers=headers)

    async def receive(self, request: Request, upload_id: str, owner: str) -> Stored:
        """Append a request's body, and return the file when it is whole.

        Raises:
            Answer: The file is not whole yet.
        """
        require_content_type(request)
        offset = number_of(request, "Upload-Offset")
        upload, holder = await self._take_lock(request, upload_id, owner)
        try:
            with store_failures():
                state = await upload.load(owner=hashed(owner))
                stored, attempt = await self._go_on(request, upload, state, offset, holder)
        except BaseException:
            holder.done()
            raise
        settle = settling(upload, attempt, holder, length=state.info.length)
        _fastapi.when_settled(request, settle)
        return stored

    async def state(self, request: Request, upload_id: str, owner: str) -> UploadState:
        """Return the state of an upload, once its running request has stopped."""
        upload, holder = await self._take_lock(request, upload_id, owner)
        with holder, store_failures():
            return await upload.load(owner=hashed(owner))

    async def terminate(self, request: Request, upload_id: str, owner: str) -> None:
        """Delete an upload. A file that was kept stays."""
        upload, holder = await self._take_lock(request, upload_id, owner)
        with holder, store_failures():
            state = await upload.load(owner=hashed(owner))
            await to_its_end(upload.forget() if state.done else upload.refuse())

    async def _take_lock(
        self, request: Request, upload_id: str, owner: str
    ) -> tuple[UnfinishedUpload, UploadLock]:
        if not _ID.fullmatch(upload_id):
            raise UploadNotFound
        upload = UnfinishedUpload(find(request, self._files), upload_id)
        if self._locks.busy(upload_id):
            await upload.load(owner=hashed(owner))  # a stranger may not interrupt the owner
        return upload, await self._locks.take(upload_id)

    async def _first(
        self,
        request: Request,
        files: Files,
        upload: UnfinishedUpload,
        state: UploadState,
        holder: UploadLock,
    ) -> int:
        if not has_body(request):
            return 0
        require_content_type(request)
        receiver = self._chunk_receiver(request, files, upload, state, holder)
        await receiver.read(RequestBody(request, self._policy.pace))
        return receiver.offset

    async def _go_on(
        self,
        request: Request,
        upload: UnfinishedUpload,
        state: UploadState,
        offset: int,
        holder: UploadLock,
    ) -> tuple[Stored, CompletionAttempt]:
        if offset != state.offset:
            raise OffsetConflict(offset=state.offset)
        _refuse_long(request, state.info.length - offset)
        if state.done:
            raise _answer(offset, state.info)
        if len(state.pieces) >= _MAX_PIECES:
            raise TooManyPieces
        last, state = await self._append(request, upload, state, holder)
        if not last:
            raise _answer(state.offset, state.info)
        return await self._complete(request, upload, state, last)

    async def _append(
        self, request: Request, upload: UnfinishedUpload, state: UploadState, holder: UploadLock
    ) -> tuple[bytes, UploadState]:
        files = find(request, self._files)
        receiver = self._chunk_receiver(request, files, upload, state, holder)
        try:
            await receiver.read(RequestBody(request, self._policy.pace))
        except UnsupportedMediaType as refused:
            await _refuse(upload, refused)
            raise
        except Overtaken as error:
            now = await upload.load(owner=state.info.owner)
            raise OffsetConflict(offset=now.offset) from error
        return receiver.last, await upload.load(owner=state.info.owner)

    async def _complete(
        self, request: Request, upload: UnfinishedUpload, state: UploadState, last: bytes
    ) -> tuple[Stored, CompletionAttempt]:
        files = find(request, self._files)
        if state.offset != state.info.length - 1:
            raise OffsetConflict(offset=state.offset)
        try:
            return await complete(self._policy, files, upload, state, last)
        except Completed:
            raise _answer(state.info.length, state.info) from None
        except Problem as refused:
            if refused.status < _FIRST_FAILURE:
                await _refuse(upload, refused)
            raise

    def _chunk_receiver(
        self,
        request: Request,
        files: Files,
        upload: UnfinishedUpload,
        state: UploadState,
        holder: UploadLock,
    ) -> ChunkReceiver:
        checksum = checksum_of(request)
        return ChunkReceiver(self._policy, files, upload, state, holder=holder, checksum=checksum)


async def _refuse(upload: UnfinishedUpload, refused: Problem) -> None:
    await to_its_end(upload.refuse())
    metrics.refused(refused.code)
    log.info("an upload was refused: %s", refused.code)


def _refuse_long(request: Request, most: int) -> None:
    length = declared_length(request)
    if length is not None and length > most:
        raise PayloadTooLarge


def _answer(offset: int, info: UploadInfo) -> _fastapi.Answer:
    return _fastapi.Answer(Response(status_code=204, headers=_standing(offset, info)))


def _standing(offset: int, info: UploadInfo) -> dict[str, str]:
    return {"Upload-Offset": str(offset), "Upload-Expires": http_date(info.expires_at)}

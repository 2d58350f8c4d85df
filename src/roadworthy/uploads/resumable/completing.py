"""`complete`: make one file of the pieces of an upload, once."""

from contextlib import aclosing
from typing import Final

from starlette.responses import Response

from roadworthy import _fastapi
from roadworthy._internal.finish import to_its_end
from roadworthy.problems.translate import is_refusal
from roadworthy.uploads.files import Files
from roadworthy.uploads.receiving.body_receiver import take_in
from roadworthy.uploads.receiving.multipart import Part
from roadworthy.uploads.receiving.policy import Policy
from roadworthy.uploads.resumable.errors import UploadGone
from roadworthy.uploads.resumable.unfinished import CompletionAttempt, UnfinishedUpload, UploadState
from roadworthy.uploads.resumable.upload_locks import UploadLock
from roadworthy.uploads.stored import Stored

__all__ = ["Completed", "complete", "settling"]

_FIRST_REFUSAL: Final = 400
_FIRST_FAILURE: Final = 500


class Completed(Exception):
    """Another request has completed the upload, and its file counts."""


async def complete(
    policy: Policy, files: Files, upload: UnfinishedUpload, state: UploadState, last: bytes
) -> tuple[Stored, CompletionAttempt]:
    """Return the upload's file, the same at each call, and an attempt to keep it.

    Raises:
        Completed: Another request has completed the upload.
        UploadGone: 410. The upload was refused or terminated meanwhile.
        Problem: The policy refuses the file.
    """
    try:
        stored, attempt = await _hold(policy, files, upload, state, last)
    except UploadGone:
        if (await upload.load(owner=state.info.owner)).done:
            raise Completed from None
        raise
    try:
        # Marked before anything else, so that a request that refuses the file sees this attempt.
        now = await upload.load(owner=state.info.owner)
    except UploadGone:
        await attempt.refused()
        raise
    if now.done:
        await attempt.leave()
        raise Completed
    return stored, attempt


async def _hold(
    policy: Policy, files: Files, upload: UnfinishedUpload, state: UploadState, last: bytes
) -> tuple[Stored, CompletionAttempt]:
    if state.stored:
        stored = await upload.stored()
        return stored, await _begun(files, stored)
    made = await _make(policy, files, upload, state, last)
    attempt = await _begun(files, made)
    stored = await upload.keep(made)
    if stored.key != made.key:  # another process has made the file, too, and was faster
        await attempt.refused()
        attempt = await _begun(files, stored)
    return stored, attempt


async def _make(
    policy: Policy, files: Files, upload: UnfinishedUpload, state: UploadState, last: bytes
) -> Stored:
    info = state.info
    part = Part(policy.field, info.filename, info.media_type, {})
    async with aclosing(upload.content(state, last)) as pieces:
        return await take_in(policy, files, part, pieces)


async def _begun(files: Files, stored: Stored) -> CompletionAttempt:
    attempt = CompletionAttempt(files, stored.key)
    await attempt.begin()
    return attempt


def settling(
    upload: UnfinishedUpload, attempt: CompletionAttempt, holder: UploadLock, *, length: int
) -> _fastapi.Settle:
    """Return the callback that ends an attempt as its request ended."""

    async def settle(response: Response | None, error: BaseException | None) -> None:
        with holder:
            if is_refusal(error) if error else _is_refused(response):
                await to_its_end(_refuse(upload, attempt))
            elif response is not None and response.status_code < _FIRST_REFUSAL:
                await to_its_end(_finish(upload, attempt))
                response.headers["Upload-Offset"] = str(length)
            # After 5xx, a row may name the file or not: the client has to ask again.

    return settle


async def _refuse(upload: UnfinishedUpload, attempt: CompletionAttempt) -> None:
    await upload.refuse()
    await attempt.refused()


async def _finish(upload: UnfinishedUpload, attempt: CompletionAttempt) -> None:
    await upload.finish()
    await attempt.succeeded()


def _is_refused(response: Response | None) -> bool:
    return response is not None and _FIRST_REFUSAL <= response.status_code < _FIRST_FAILURE

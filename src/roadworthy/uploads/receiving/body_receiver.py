"""`receive`: read a body once, from the socket into the store, all or nothing."""

import logging
from collections.abc import AsyncIterator, Iterator

from starlette.requests import ClientDisconnect

from roadworthy._internal.finish import to_its_end
from roadworthy.problems import (
    FieldError,
    PayloadTooLarge,
    Problem,
    ValidationFailed,
)
from roadworthy.uploads import metrics
from roadworthy.uploads.files import Files
from roadworthy.uploads.form import Form
from roadworthy.uploads.receiving.file_receiver import FileReceiver, left_to_the_sweep
from roadworthy.uploads.receiving.multipart import End, Event, Part, PartReader
from roadworthy.uploads.receiving.policy import Policy
from roadworthy.uploads.receiving.request_body import RequestBody
from roadworthy.uploads.receiving.text_fields import FieldText, decoded
from roadworthy.uploads.stored import Stored

__all__ = ["receive", "take_in"]

log = logging.getLogger("roadworthy.uploads")


async def receive(policy: Policy, files: Files, body: RequestBody, reader: PartReader) -> Form:
    """Read a whole body, and return its stored files and fields.

    Raises:
        Problem: The policy refuses the body; nothing is kept.
        ClientDisconnect: The client has left; nothing is kept.
    """
    receiver = _BodyReceiver(policy, files)
    try:
        return await receiver.run(body, reader)
    except BaseException as error:
        await to_its_end(receiver.undo())
        _tell(error, body.received)
        raise


async def take_in(policy: Policy, files: Files, part: Part, pieces: AsyncIterator[bytes]) -> Stored:
    """Judge and store a file whose bytes do not come from a request's body.

    Raises:
        Problem: The policy refuses the file; nothing is kept.
    """
    receiver = FileReceiver(policy, files, part, key=files.new_key(policy.prefix))
    try:
        async for piece in pieces:
            await receiver.feed(memoryview(piece))
        stored = await receiver.finish()
    except BaseException:
        await to_its_end(_undo(receiver, files))
        raise
    await receiver.close()
    metrics.kept(stored.media_type, stored.size_bytes)
    return stored


async def _undo(receiver: FileReceiver, files: Files) -> None:
    with left_to_the_sweep():
        await receiver.close()
    # After a cancelled commit, nobody knows whether the file was committed.
    with left_to_the_sweep():
        await files.delete(receiver.key)


def _tell(error: BaseException, received: int) -> None:
    if isinstance(error, ClientDisconnect):
        metrics.refused("CLIENT_LEFT")
        log.info("a client left after %d bytes of an upload", received)
    elif isinstance(error, Problem):
        metrics.refused(error.code)
        log.info("an upload was refused after %d bytes: %s", received, error.code)


class _BodyReceiver:
    def __init__(self, policy: Policy, files: Files) -> None:
        self._policy, self._files = policy, files
        self._kept: list[Stored] = []
        self._texts: list[FieldText] = []
        self._field_count = self._file_bytes = self._blanks = 0
        self._file: FileReceiver | None = None
        self._field: FieldText | None = None
        self._nameless: Part | None = None
        """A part without a file name: the first byte makes it a file."""

    async def run(self, body: RequestBody, reader: PartReader) -> Form:
        while (piece := await body.read()) != b"":
            if piece is None:
                await self._flush_while_silent()
                continue
            await self._take_all(reader.feed(piece))
        await self._take_all(reader.finish())
        return Form(tuple(self._kept), decoded(self._texts))

    async def undo(self) -> None:
        """Delete the files of this body."""
        if self._file is not None:
            await _undo(self._file, self._files)
        for stored in self._kept:
            with left_to_the_sweep():
                await self._files.delete(stored)

    async def _flush_while_silent(self) -> None:
        # A silent client should take up as little memory as possible.
        if self._file is not None:
            await self._file.flush()

    async def _take_all(self, events: Iterator[Event]) -> None:
        # Not in `run`, whose frame would keep the last piece while the client is silent.
        for event in events:
            await self._take(event)

    async def _take(self, event: Event) -> None:
        if isinstance(event, memoryview):
            await self._data(event)
        elif isinstance(event, End):
            await self._end()
        else:
            self._begin(event)

    def _begin(self, part: Part) -> None:
        is_ours = part.name == self._policy.field
        if part.filename == "" or (is_ours and part.filename is None):
            self._nameless = part
        elif is_ours:
            self._begin_file(part)
        elif part.filename is not None:
            raise _unexpected()
        else:
            self._field_count += 1
            self._bound(self._field_count, self._policy.max_fields)
            self._field = FieldText(part, self._policy.max_field_bytes)

    def _begin_file(self, part: Part) -> None:
        limit = self._policy.max_files
        if len(self._kept) == limit:
            message = f"At most {limit} file{'s' if limit > 1 else ''} should be sent"
            raise _invalid(f"/{self._policy.field}", "too_many_files", message)
        key = self._files.new_key(self._policy.prefix)
        self._file = FileReceiver(self._policy, self._files, part, key=key)

    def _begin_nameless_file(self, part: Part) -> None:
        """Begin a file that has bytes, but no file name."""
        self._nameless = None
        if part.name != self._policy.field:
            raise _unexpected()
        self._begin_file(part)

    async def _data(self, data: memoryview) -> None:
        if self._nameless is not None and data:
            self._begin_nameless_file(self._nameless)
        if self._file is not None:
            self._file_bytes += len(data)
            if self._file_bytes > self._policy.max_total_bytes:
                raise PayloadTooLarge
            await self._file.feed(data)
        elif self._field is not None:
            self._field.feed(data)

    async def _end(self) -> None:
        if self._file is not None:
            stored = await self._file.finish()
            self._kept.append(stored)
            metrics.kept(stored.media_type, stored.size_bytes)
            await self._file.close()
            self._file = None
        elif self._field is not None:
            self._texts.append(self._field)
            self._field = None
        elif self._nameless is not None:
            # A file input that was left empty (HTML, "constructing the entry list").
            self._nameless = None
            self._blanks += 1
            self._bound(self._blanks, self._policy.max_fields + self._policy.max_files)

    @staticmethod
    def _bound(count: int, limit: int) -> None:
        if count > limit:
            raise _invalid("", "too_many_fields", "The form has too many fields")


def _unexpected() -> ValidationFailed:
    return _invalid("", "unexpected_file", "A file is not expected in this field")


def _invalid(pointer: str, code: str, message: str) -> ValidationFailed:
    return ValidationFailed(errors=[FieldError(pointer=pointer, code=code, message=message)])

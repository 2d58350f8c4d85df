"""`Direct`: let clients write files to the object store, and judge them later.

    direct = Direct(archives, secret=settings.secret)

    @router.post("/archives/offers", status_code=201)
    async def offer(new: NewArchive, request: Request) -> Offer:
        return await direct.offer(request, filename=new.filename, media_type=new.media_type)

    @router.post("/archives/confirmations", status_code=201)
    async def confirm(sent: Confirmation, request: Request, tx: Tx) -> Archive:
        file = await direct.confirm(request, sent.ticket)
        ...

The bytes do not pass through the service on their way in. To confirm a file, the service reads
it once from the store, through the same policy, and writes what it has judged under another
key. A client that overwrites its own key after that changes nothing.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from roadworthy import _fastapi
from roadworthy._internal.durations import check_duration
from roadworthy._internal.finish import to_its_end
from roadworthy.lifespan import find
from roadworthy.problems import PayloadTooLarge, Problem
from roadworthy.uploads.arguments import check_type
from roadworthy.uploads.files import UNFINISHED, Files
from roadworthy.uploads.messages import in_own_words
from roadworthy.uploads.receiving.body_receiver import take_in
from roadworthy.uploads.receiving.multipart import Part
from roadworthy.uploads.store import FileMissing, Presigning
from roadworthy.uploads.stored import Stored
from roadworthy.uploads.types.inspecting.media_types import essence
from roadworthy.uploads.upload import Upload

__all__ = ["Direct", "NotUploaded", "Offer", "TicketInvalid"]

_PREFIX: Final = f"{UNFINISHED}direct/"
_MAX_TICKET: Final = 8192


class TicketInvalid(Problem):
    """The ticket is not valid, belongs to somebody else, or has expired."""

    status = 422
    title = "Ticket invalid"
    detail = "Ask for a new offer, and send its ticket as it is."


class NotUploaded(Problem):
    """No file was written with this ticket, or it was confirmed already."""

    status = 409
    title = "Not uploaded"
    detail = "Send the file to the address of the offer first."


@dataclass(frozen=True, slots=True)
class Offer:
    """An address to send a file to, and the ticket to confirm the file with."""

    method: str
    url: str
    headers: dict[str, str]
    """Headers that the request must have, unchanged."""
    expires_at: datetime
    ticket: str


class Direct:
    """Offer and confirm files that clients write to an object store themselves.

    Pass the id of the user as `owner` of `offer` and of `confirm`: then nobody else can confirm
    the file.

    Args:
        upload: The policy that the files have to meet.
        secret: Signs the tickets: 32 bytes or more, the same in all processes.
        expires: How long a client may send a file after the offer.
    """

    def __init__(
        self, upload: Upload, *, secret: bytes, expires: timedelta = timedelta(minutes=15)
    ) -> None:
        check_type("upload", upload, Upload, "an Upload", "Upload(...)")
        check_type("secret", secret, bytes, "bytes", "settings.secret.encode()")
        check_duration("expires", expires, above_zero=True)
        if len(secret) < hashlib.sha256().digest_size:
            raise ValueError("secret is too short: secrets.token_bytes(32) makes one.")
        self._upload, self._secret, self._expires = upload, secret, expires

    async def offer(
        self, request: Request, *, filename: str | None, media_type: str, owner: str = ""
    ) -> Offer:
        """Return an address that takes one file, and the ticket to confirm it with.

        `media_type` is what the client declares. The bytes decide, when the file is confirmed.
        """
        files = find(request, self._upload.files)
        key = files.new_key(_PREFIX)
        presigned = await _presigning(files).presign_put(
            key, media_type=media_type, expires=self._expires
        )
        confirm_until = datetime.now(UTC) + 2 * self._expires
        facts = [key, filename, media_type, owner, confirm_until.timestamp()]
        return Offer(
            method=presigned.method,
            url=presigned.url,
            headers=presigned.headers,
            expires_at=presigned.expires_at,
            ticket=self._sign(facts),
        )

    async def confirm(self, request: Request, ticket: str, *, owner: str = "") -> Stored:
        """Judge the file that the client wrote, and return it as a stored file.

        If the request is refused later on, the client's file stays in the store, so that it can
        be confirmed again until the ticket expires.

        Raises:
            TicketInvalid: 422.
            NotUploaded: 409.
            Problem: The policy refuses the file, which is then removed.
        """
        key, filename, media_type = self._read(ticket, owner)
        files = find(request, self._upload.files)
        part = Part(self._upload.policy.field, filename, essence(media_type), {})
        try:
            with in_own_words(request, self._upload.policy.messages):
                stored = await take_in(self._upload.policy, files, part, self._pieces(files, key))
        except FileMissing as missing:
            raise NotUploaded from missing
        except Problem as refused:
            if refused.status < 500:  # noqa: PLR2004 - ours may pass, and the file is needed again
                await files.delete(key)
            raise
        _fastapi.when_settled(request, self._upload.settling(files, (stored,)))
        _fastapi.when_settled(request, _forgetting(files, key))
        return stored

    async def _pieces(self, files: Files, key: str) -> AsyncIterator[bytes]:
        async with files.open(key) as reading:
            if reading.size_bytes > self._upload.policy.max_bytes:
                raise PayloadTooLarge
            async for piece in reading.chunks():
                yield piece

    def _sign(self, facts: list[Any]) -> str:
        payload = base64.urlsafe_b64encode(json.dumps(facts).encode()).decode().rstrip("=")
        return f"{payload}.{self._mac(payload)}"

    def _read(self, ticket: str, owner: str) -> tuple[str, str | None, str]:
        payload, _, mac = ticket[:_MAX_TICKET].partition(".")
        if not hmac.compare_digest(mac.encode(), self._mac(payload).encode()):
            raise TicketInvalid
        padded = payload + "=" * (-len(payload) % 4)
        key, filename, media_type, bound_to, until = json.loads(base64.urlsafe_b64decode(padded))
        if bound_to != owner or datetime.now(UTC).timestamp() > until:
            raise TicketInvalid
        return key, filename, media_type

    def _mac(self, payload: str) -> str:
        return hmac.new(self._secret, payload.encode(), hashlib.sha256).hexdigest()


def _forgetting(files: Files, key: str) -> _fastapi.Settle:
    async def settle(response: Response | None, error: BaseException | None) -> None:
        """Remove the client's file, once a row names the stored one."""
        if error is None and response is not None and response.status_code < 400:  # noqa: PLR2004
            await to_its_end(files.delete(key))

    return settle


def _presigning(files: Files) -> Presigning:
    store: Any = files.store
    if not hasattr(store, "presign_put"):
        raise TypeError(
            f"{type(store).__name__} has no addresses that clients could write to. "
            "Use a store that does, such as Objects, or let the file come through the service."
        )
    return store  # type: ignore[no-any-return] # it has just been looked at

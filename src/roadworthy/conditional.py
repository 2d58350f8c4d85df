"""Conditional requests (RFC 9110 §8.8.3 and §13): ETags, `If-Match` and `If-None-Match`.

    @router.patch("/items/{item_id}")
    async def update(item_id: str, patch: ItemPatch, match: IfMatch, tx: Tx, response: Response):
        write = update_of(item_id, patch)
        if (versions := match.versions(int)) is not None:
            write = write.where(items.c.version.in_(versions))  # the check is in the write
        row = (await tx.execute(write.returning(items))).one_or_none()
        if row is None:
            raise PreconditionFailed()  # or not found: look which
        set_etag(response, row.version)

    @router.get("/items/{item_id}")
    async def read(item_id: str, none_match: IfNoneMatch, tx: Read):
        item = await load(tx, item_id)
        none_match.check(item.version)  # answers 304, or sets ETag and goes on
        return item

What a client must have seen is checked in the write: nobody comes between the two.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final, TypeAlias, TypeVar
from urllib.parse import quote, unquote
from uuid import UUID

from fastapi import Depends, Header, HTTPException, Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roadworthy import _fastapi, problems
from roadworthy.problems import Problem
from roadworthy.problems.declare import amends_openapi

__all__ = [
    "ConditionalGet",
    "ETag",
    "IfMatch",
    "IfNoneMatch",
    "Match",
    "NoneMatch",
    "NotModified",
    "PreconditionFailed",
    "PreconditionRequired",
    "RequiredIfMatch",
    "Version",
    "etag",
    "if_match",
    "set_etag",
]

V = TypeVar("V", int, str, UUID, datetime)

MAX_LENGTH: Final = 4096
"""Characters of a precondition that are read; a longer one counts as malformed."""


class PreconditionFailed(Problem):
    """The resource is not in the state that If-Match or If-None-Match names."""

    status = 412
    title = "Precondition failed"
    detail = (
        "The resource is not as the request expects it. Read it again, and send the ETag "
        "that comes with it, quotes included."
    )


class PreconditionRequired(Problem):
    """The request has no If-Match, which the route needs (RFC 6585 §3)."""

    status = 428
    title = "Precondition required"
    detail = "Read the resource first, and send its ETag in If-Match."


class NotModified(HTTPException, _fastapi.Answer):
    """Answer 304: the client's version is current (RFC 9110 §15.4.5). Not an error.

    Function-scoped dependencies close as after a return.
    """

    def __init__(self, tag: "ETag", response: Response) -> None:
        kept = {name: response.headers[name] for name in _KEPT if name in response.headers}
        headers = {**kept, "etag": str(tag)}
        self.response = Response(status_code=304, headers=headers)
        # Where routes are not hooked, FastAPI's handler of HTTPException answers the same.
        super().__init__(304, headers=headers)


_KEPT: Final = ("cache-control", "content-location", "expires", "vary", "last-modified")


@dataclass(frozen=True, slots=True)
class ETag:
    """An entity tag; `str()` gives its form in a header (RFC 9110 §8.8.3)."""

    opaque: str
    """What stands between the quotes."""
    weak: bool = False
    """True where it starts with `W/`: equal in meaning, not byte for byte."""

    def __post_init__(self) -> None:
        if not _OPAQUE.fullmatch(self.opaque):
            raise ValueError(
                "An entity tag takes visible ASCII except quotes. Use etag(version), which escapes."
            )

    def __str__(self) -> str:
        return f'W/"{self.opaque}"' if self.weak else f'"{self.opaque}"'

    def same_bytes(self, other: "ETag") -> bool:
        """Return whether two tags match strongly: weak ones never do (§8.8.3.2)."""
        return not self.weak and not other.weak and self.opaque == other.opaque

    def same_meaning(self, other: "ETag") -> bool:
        """Return whether two tags match weakly, without `W/` (RFC 9110 §8.8.3.2)."""
        return self.opaque == other.opaque


Version: TypeAlias = ETag | int | str | UUID | datetime
"""What an entity tag can be made from."""


def etag(version: Version) -> ETag:
    """Return the strong tag of a version: `str(etag(7))` is `"7"`, in quotes.

    Characters that a tag cannot hold are percent-encoded. The version must change
    whenever the representation does.
    """
    return version if isinstance(version, ETag) else ETag(quote(str(version), safe=_SAFE))


def set_etag(response: Response, version: Version) -> None:
    """Set the `ETag` header of a response to the tag of a version."""
    # An integer needs no escaping, and is what most versions are.
    tag = f'"{version}"' if type(version) is int else str(etag(version))
    response.headers["ETag"] = tag


@dataclass(frozen=True, slots=True)
class Match:
    """The If-Match of a request (RFC 9110 §13.1.1): the versions it is meant for.

    A malformed one names no version, so that it allows nothing: ignoring it would
    let the very write through that its sender wanted guarded.
    """

    given: bool = False
    """True where the request has an If-Match."""
    any: bool = False
    """True for `*`: any version, so long as there is one."""
    tags: tuple[ETag, ...] = ()
    weakened: bool = False
    """True where weak tags count, too: see `if_match`."""

    def allows(self, version: Version | None) -> bool:
        """Return whether a write may change a version; None for a missing resource."""
        if not self.given:
            return True
        if version is None:
            return False
        return self.any or any(self._is(tag, etag(version)) for tag in self.tags)

    def check(self, version: Version | None) -> None:
        """Refuse the request with 412 unless it allows a version.

        Only as good as the lock that holds the version until the write: where there is
        none, put `versions` into the write.

        Raises:
            PreconditionFailed: 412.
        """
        if not self.allows(version):
            raise PreconditionFailed

    def versions(
        self, read: Callable[[str], V], *, largest: int = 2**31 - 1
    ) -> tuple[V, ...] | None:
        """Return the versions for `WHERE version IN (...)`, or None where any will do.

        `read` turns text into a version: `int`, `str`, `UUID`, `datetime.fromisoformat`.
        An empty tuple allows no write. Tags that no version has are left out, and so
        are integers beyond `largest`: the default is what an `Integer` column compares
        with; say `2**63 - 1` for a `BigInteger`.
        """
        if not self.given or self.any:
            return None
        return tuple(
            version
            for tag, version in _versions(self.tags, read, largest)
            if self._is(tag, etag(version))
        )

    def _is(self, tag: ETag, current: ETag) -> bool:
        return tag.same_meaning(current) if self.weakened else tag.same_bytes(current)

    def require(self) -> None:
        """Refuse a request without If-Match (428).

        Raises:
            PreconditionRequired: 428.
        """
        if not self.given:
            raise PreconditionRequired


@dataclass(frozen=True, slots=True)
class NoneMatch:
    """The If-None-Match of a request (RFC 9110 §13.1.2): the client's versions."""

    given: bool = False
    """True where the request has an If-None-Match."""
    any: bool = False
    """True for `*`: go on only if there is no version yet."""
    tags: tuple[ETag, ...] = ()
    malformed: bool = False
    safe: bool = True
    """True for GET and HEAD, where a version that matches is answered 304."""
    response: Response | None = None
    """What FastAPI collects headers on: `check` reads and sets them there."""

    def matches(self, version: Version | None) -> bool:
        """Return whether the client has a version; None for a missing resource."""
        if version is None:
            return False
        return self.any or any(tag.same_meaning(etag(version)) for tag in self.tags)

    def check(self, version: Version | None) -> None:
        """Answer 304 if the client has a version, else set `ETag` and go on.

        On GET and HEAD the answer is 304 with the `Cache-Control`, `Content-Location`,
        `Expires`, `Last-Modified` and `Vary` that were set on the endpoint's
        `Response` so far. On other methods the request is refused, and so is a
        malformed header, which a GET can ignore without harm. For a PUT that only
        creates, let a unique key decide, and raise `PreconditionFailed` where it is taken.
        Declare that on the route: `responses=problems.responses(PreconditionFailed)`.

        Raises:
            NotModified: 304, on GET and HEAD.
            PreconditionFailed: 412, on other methods.
        """
        if not self.safe:
            if self.malformed or self.matches(version):
                raise PreconditionFailed
            return
        if version is None:
            return
        response = self.response or Response()
        if self.matches(version):
            raise NotModified(etag(version), response)
        set_etag(response, version)


def _document_etag(operation: dict[str, Any], _schemas: dict[str, Any]) -> None:
    for status, response in operation.get("responses", {}).items():
        if status.startswith("2") and status != "204":
            response.setdefault("headers", {}).setdefault("ETag", _ETAG_HEADER)


def _document_not_modified(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    # Not a Header parameter: FastAPI takes longer to read one than for the rest of a read.
    operation.setdefault("parameters", []).append(_IF_NONE_MATCH)
    _document_etag(operation, schemas)
    # Only reads answer 304, and an operation without a body is how a read looks from here.
    if "requestBody" not in operation:
        not_modified = {"description": "Not Modified", "headers": {"ETag": _ETAG_HEADER}}
        operation.setdefault("responses", {}).setdefault("304", not_modified)


def _document_required(operation: dict[str, Any], _schemas: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter["name"] == "If-Match":
            parameter["required"] = True


_ETAG_HEADER: Final = {
    "description": "The version of the resource, for If-Match and If-None-Match.",
    "schema": {"type": "string"},
}

_IF_NONE_MATCH: Final = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "Entity tags, separated by commas, or `*`: go on only if the resource's "
    "ETag is not among them, else answer 304 to GET and HEAD, and 412 to others.",
}

_IfMatchHeader: TypeAlias = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="Entity tags, separated by commas, or `*`: change the resource only if "
        "its ETag is among them, else answer 412.",
    ),
]


def if_match(*, required: bool = False, weakened: bool = False) -> Any:
    """Return a dependency like that of `IfMatch`, with other options.

        IfMatch = Annotated[Match, if_match(weakened=True)]

    Where it is `required`, a request without one is answered 428. A proxy that compresses
    sends `W/"7"` for `"7"`, since the bytes are no longer the same, and RFC 9110 §13.1.1
    lets such a tag match nothing: each write behind that proxy is 412. With `weakened`, it
    matches all the same. That is safe where a tag names a version of the resource, as
    those of `etag` do, and not only some of its bytes.
    """

    @amends_openapi(_document_etag)
    @problems.raises(PreconditionFailed)
    async def match(request: Request, _header: _IfMatchHeader = None) -> Match:
        text = _field(request, "if-match")
        if text is None:
            return Match(weakened=weakened)
        read = _read(text)
        tags = read if isinstance(read, tuple) else ()
        return Match(given=True, any=read == "*", tags=tags, weakened=weakened)

    @amends_openapi(_document_required)
    @problems.raises(PreconditionRequired)
    async def required_match(found: Annotated[Match, Depends(match)]) -> Match:
        found.require()
        return found

    return Depends(required_match if required else match)


# It declares no 412: that is for the routes, mostly PUT, that can answer it.
@amends_openapi(_document_not_modified)
async def _if_none_match(request: Request, response: Response) -> NoneMatch:
    text = _field(request, "if-none-match")
    safe = request.method in {"GET", "HEAD"}
    read = () if text is None else _read(text)
    return NoneMatch(
        given=text is not None,
        any=read == "*",
        tags=read if isinstance(read, tuple) else (),
        malformed=read is None,
        safe=safe,
        response=response,
    )


IfMatch: TypeAlias = Annotated[Match, if_match()]
"""Parameter: the If-Match of the request, given or not."""
RequiredIfMatch: TypeAlias = Annotated[Match, if_match(required=True)]
"""Parameter: the If-Match of the request, which is answered 428 without one."""
IfNoneMatch: TypeAlias = Annotated[NoneMatch, Depends(_if_none_match)]
"""Parameter: the If-None-Match of the request, given or not."""


class ConditionalGet:
    """Middleware: answer 304 to each GET and HEAD whose ETag the client has.

    `app.add_middleware(ConditionalGet)`, and `set_etag(response, version)` in the routes.
    It costs a request without If-None-Match next to nothing. `IfNoneMatch` answers
    earlier, before the route has made a body.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application, and leave out the body where the client has it."""
        tags = _known_to(scope)
        if tags is None:
            await self.app(scope, receive, send)
            return
        unchanged = False

        async def send_changes(message: Message) -> None:
            nonlocal unchanged
            if unchanged:
                return  # whatever it is: a 304 has no body, however that would be sent
            if message["type"] == "http.response.start":
                unchanged = _is_successful(message) and _names(tags, message)
            if not unchanged:
                await send(message)
                return
            # Its end is sent with it: middleware outside has nothing to hold back or to add to.
            await send(_not_modified(message))
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self.app(scope, receive, send_changes)


def _known_to(scope: Scope) -> tuple[ETag, ...] | str | None:
    """Return the tags in the If-None-Match of a GET or HEAD, else None."""
    if scope["type"] != "http" or scope["method"] not in _SAFE_METHODS:
        return None
    lines = [value for name, value in scope["headers"] if name == b"if-none-match"]
    return _read(b", ".join(lines).decode("latin-1")) if lines else None


def _names(tags: tuple[ETag, ...] | str, message: Message) -> bool:
    for name, value in message["headers"]:
        if name.lower() == b"etag":
            opaque = value.decode("latin-1").removeprefix("W/").strip('"')
            return isinstance(tags, str) or any(tag.opaque == opaque for tag in tags)
    return False


def _is_successful(message: Message) -> bool:
    # A part, too: the condition is judged before the range (RFC 9110 §13.2.2).
    return bool(HTTPStatus.OK <= message["status"] < HTTPStatus.MULTIPLE_CHOICES)


def _not_modified(message: Message) -> Message:
    # What tells of the body is in the 200 that the client has (RFC 9110 §15.4.5). Other
    # members of the message, such as `trailers`, promise what will not come.
    headers = [pair for pair in message["headers"] if pair[0].lower() not in _OF_THE_BODY]
    status = int(HTTPStatus.NOT_MODIFIED)
    return {"type": "http.response.start", "status": status, "headers": headers}


_OF_THE_BODY: Final = frozenset(
    {b"content-length", b"content-type", b"content-encoding", b"content-language"}
    | {b"content-range", b"transfer-encoding", b"trailer"}
)
_SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
_ETAGC: Final = r"[\x21\x23-\x7e\x80-\xff]*+"
_OPAQUE: Final = re.compile(r"[\x21\x23-\x7e]*")
_SAFE: Final = "".join(map(chr, range(0x21, 0x7F))).replace('"', "").replace("%", "")
_ELEMENT: Final = re.compile(rf'[ \t]*+(?:(?P<weak>W/)?"(?P<opaque>{_ETAGC})"[ \t]*+)?(?:,|\Z)')


def _field(request: Request, name: str) -> str | None:
    lines = request.headers.getlist(name)
    return ", ".join(lines) if lines else None  # RFC 9110 §5.3


def _read(text: str) -> tuple[ETag, ...] | str | None:
    """Return the tags of a header, `*`, or None for what is neither."""
    if text.strip() == "*":
        return "*"
    if len(text) > MAX_LENGTH:
        return None
    tags: list[ETag] = []
    at = 0
    while at < len(text):
        element = _ELEMENT.match(text, at)
        if element is None:
            return None
        at = element.end()
        opaque = element["opaque"]
        if opaque is not None and opaque.isascii():  # ours are ASCII, so no other can match
            tags.append(ETag(opaque, weak=element["weak"] is not None))
    return tuple(tags)


def _versions(
    tags: tuple[ETag, ...], read: Callable[[str], V], largest: int
) -> Iterator[tuple[ETag, V]]:
    for tag in tags:
        try:
            version = read(unquote(tag.opaque))
        except ValueError:
            continue
        # "07" reads as 7, but is not the tag of 7; and no text column holds a NUL.
        storable = abs(version) <= largest if isinstance(version, int) else "%00" not in tag.opaque
        if storable:
            yield tag, version

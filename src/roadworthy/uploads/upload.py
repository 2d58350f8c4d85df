"""`Upload`: the files that a route accepts, and dependencies that receive them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final, TypeVar

from fastapi import Depends, Request, params
from starlette.responses import Response

from roadworthy import _fastapi
from roadworthy._early_validation import check_parameters
from roadworthy._internal.finish import to_its_end
from roadworthy.lifespan import find, needs
from roadworthy.problems import (
    FieldError,
    InsufficientStorage,
    MalformedBody,
    PayloadTooLarge,
    RequestTimeout,
    ServiceUnavailable,
    UnsupportedMediaType,
    ValidationFailed,
    raises,
)
from roadworthy.problems.declare import amends_openapi
from roadworthy.problems.translate import is_refusal
from roadworthy.uploads.checks import Check, Conversion
from roadworthy.uploads.errors import DigestMismatch, FileRejected, FileTypeRefused
from roadworthy.uploads.filenames import disposition
from roadworthy.uploads.files import Files
from roadworthy.uploads.form import Form
from roadworthy.uploads.messages import Messages, in_own_words
from roadworthy.uploads.receiving.body_receiver import receive
from roadworthy.uploads.receiving.encodings import refuse_content_encoding, refuse_transfer_encoding
from roadworthy.uploads.receiving.multipart import MultipartReader, Part, PartReader, RawReader
from roadworthy.uploads.receiving.pace import Pace
from roadworthy.uploads.receiving.policy import Policy
from roadworthy.uploads.receiving.request_body import RequestBody, declared_length
from roadworthy.uploads.receiving.upload_arguments import (
    check_extras,
    check_pace,
    check_sizes,
    check_types,
)
from roadworthy.uploads.stored import KiB, Stored
from roadworthy.uploads.types.inspecting.filetype import FileType
from roadworthy.uploads.types.inspecting.media_types import essence

__all__ = ["Upload", "refuse_encoded", "require_hook"]

R = TypeVar("R")

_FIRST_REFUSAL: Final = 400
_FIRST_FAILURE: Final = 500
_PART_OVERHEAD: Final = 16 * KiB
"""The most bytes of a multipart body around each of its parts."""
_FAILURES: Final = (
    MalformedBody,
    DigestMismatch,
    RequestTimeout,
    PayloadTooLarge,
    UnsupportedMediaType,
    FileTypeRefused,
    FileRejected,
    ValidationFailed,
    ServiceUnavailable,
    InsufficientStorage,
)


class Upload:
    """Receive files of some types and sizes, in one pass from the socket to the store.

        documents = Upload(max_bytes=5 * MiB, accept=(PNG, JPEG, PDF))

        @router.post("/documents", status_code=201, openapi_extra=documents.openapi)
        async def add(file: Annotated[Stored, documents.file], tx: Tx) -> Document: ...

    No byte of the body is read before all other dependencies of the route have run and all its
    parameters are valid. A refused upload leaves nothing behind. If the route answers 4xx, its
    files are removed. If it fails with 5xx, its row may have been committed, so the files stay
    until `Files.sweep` finds that no row names them.

    Args:
        max_bytes: The most bytes of each file.
        accept: The types that are accepted, judged by the bytes.
        max_files: The most files of a request.
        max_total_bytes: The most bytes of all files of a request; `max_files` times `max_bytes`
            unless given.
        field: The name of the form's field for files.
        max_fields: The most text fields of a form.
        max_field_bytes: The most bytes of a text field.
        timeout: How long a client may take for the whole body; a slower one is answered 408.
        idle: How long a client may send nothing; then it is answered 408.
        min_rate: The least bytes a second, on average; a slower client is answered 408.
        checks: Checks that see the bytes while they stream.
        conversions: Conversions by file type, each run before a file is stored.
        prefix: The start of the keys of the files.
        messages: Texts of your own by the reasons and codes of refusals, such as
            `{"encrypted": "...", "PAYLOAD_TOO_LARGE": "..."}`; or a function of the request and
            one of these that returns a text, or None for ours: see `by_language`.
        files: The type of the part to store files in, where there are several.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        accept: Sequence[FileType],
        max_files: int = 1,
        max_total_bytes: int | None = None,
        field: str = "file",
        max_fields: int = 32,
        max_field_bytes: int = 64 * KiB,
        timeout: timedelta = timedelta(hours=1),
        idle: timedelta = timedelta(seconds=15),
        min_rate: int = 1 * KiB,
        checks: Sequence[Check] = (),
        conversions: Mapping[FileType, Conversion] = MappingProxyType({}),
        prefix: str = "",
        messages: Messages = MappingProxyType({}),
        files: type[Files] = Files,
    ) -> None:
        check_types(accept)
        check_sizes(
            max_bytes=max_bytes,
            max_files=max_files,
            max_total_bytes=max_total_bytes,
            max_fields=max_fields,
            max_field_bytes=max_field_bytes,
        )
        check_pace(timeout=timeout, idle=idle, min_rate=min_rate)
        check_extras(
            field=field,
            prefix=prefix,
            checks=checks,
            conversions=conversions,
            messages=messages,
            files=files,
        )
        self.policy = Policy(
            max_bytes=max_bytes,
            accept=tuple(accept),
            max_files=max_files,
            max_total_bytes=max_total_bytes or max_files * max_bytes,
            field=field,
            max_fields=max_fields,
            max_field_bytes=max_field_bytes,
            pace=Pace(timeout=timeout, idle=idle, min_rate=min_rate),
            checks=tuple(checks),
            conversions=conversions,
            prefix=prefix,
            messages=messages,
        )
        self.files = files
        self.file: params.Depends = self._dependency(self._one, self._multipart, self.openapi)
        """The only file of a multipart body: `Annotated[Stored, documents.file]`."""
        self.all: params.Depends = self._dependency(self._several, self._multipart, self.openapi)
        """All files of a multipart body, at least one: `Annotated[list[Stored], photos.all]`."""
        self.form: params.Depends = self._dependency(_whole, self._multipart, self.openapi)
        """The files and fields of a multipart body: `Annotated[Form, photos.form]`."""
        self.raw: params.Depends = self._dependency(self._one, self._raw, self.openapi_raw)
        """The file, where it is the whole body: `Annotated[Stored, documents.raw]`."""

    @property
    def openapi(self) -> dict[str, Any]:
        """Return the `openapi_extra=` of a route with a multipart body."""
        file = {"type": "string", "contentMediaType": "application/octet-stream"}
        several = {"type": "array", "items": file, "minItems": 1, "maxItems": self.policy.max_files}
        schema = {
            "type": "object",
            "properties": {self.policy.field: several if self.policy.max_files > 1 else file},
            "required": [self.policy.field],
        }
        types = ", ".join(kind.media_type for kind in self.policy.accept)
        content = {"schema": schema, "encoding": {self.policy.field: {"contentType": types}}}
        return _request_body({"multipart/form-data": content})

    @property
    def openapi_raw(self) -> dict[str, Any]:
        """Return the `openapi_extra=` of a route whose body is the file."""
        return _request_body({kind.media_type: {} for kind in self.policy.accept})

    def _dependency(
        self,
        pick: Callable[[Form], R],
        reader_of: Callable[[Request], PartReader],
        openapi: dict[str, Any],
    ) -> params.Depends:
        @needs(self.files)
        @raises(*_FAILURES)
        @amends_openapi(lambda operation, _: _document(operation, openapi))
        @_fastapi.reads_body
        async def received(request: Request) -> R:
            with in_own_words(request, self.policy.messages):
                return pick(await self._received(request, reader_of))

        dependency: params.Depends = Depends(received)
        return dependency

    async def _received(self, request: Request, reader_of: Callable[[Request], PartReader]) -> Form:
        kept: dict[int, Form] = request.scope.setdefault("roadworthy.uploads", {})
        if id(self) not in kept:  # not read yet, by another dependency or an earlier run
            require_hook(request)
            check_parameters(request)
            kept[id(self)] = await self._receive(request, reader_of(request))
        return kept[id(self)]

    async def _receive(self, request: Request, reader: PartReader) -> Form:
        refuse_encoded(request)
        files = find(request, self.files)
        form = await receive(self.policy, files, RequestBody(request, self.policy.pace), reader)
        _fastapi.when_settled(request, self.settling(files, form.files))
        return form

    def settling(self, files: Files, received: Sequence[Stored]) -> _fastapi.Settle:
        """Return a callback that removes the files of a refused request."""

        async def settle(response: Response | None, error: BaseException | None) -> None:
            if is_refusal(error) if error else _is_refused(response):
                await to_its_end(_remove(files, received))

        return settle

    def _multipart(self, request: Request) -> PartReader:
        policy = self.policy
        overhead = _PART_OVERHEAD * (policy.max_files + policy.max_fields)
        fields = policy.max_fields * policy.max_field_bytes
        _refuse_long(request, policy.max_total_bytes + fields + overhead)
        return MultipartReader(_content_type(request), _headers(request))

    def _raw(self, request: Request) -> PartReader:
        _refuse_long(request, self.policy.max_bytes)
        found = disposition(request.headers.get("content-disposition", "").encode("latin-1"))
        filename = found.filename if found else None
        media_type = essence(_content_type(request))
        return RawReader(Part(self.policy.field, filename, media_type, _headers(request)))

    def _one(self, form: Form) -> Stored:
        return self._several(form)[0]

    def _several(self, form: Form) -> list[Stored]:
        if not form.files:
            missing = FieldError(
                pointer=f"/{self.policy.field}", code="missing", message="Field required"
            )
            raise ValidationFailed(errors=[missing])
        return list(form.files)


def _whole(form: Form) -> Form:
    return form


async def _remove(files: Files, unwanted: Sequence[Stored]) -> None:
    for stored in unwanted:
        await files.delete(stored)


def _is_refused(response: Response | None) -> bool:
    # A request that fails (5xx) may have committed: the sweep finds out.
    return response is not None and _FIRST_REFUSAL <= response.status_code < _FIRST_FAILURE


def _headers(request: Request) -> dict[str, str]:
    return {name: ", ".join(request.headers.getlist(name)) for name in request.headers}


def _refuse_long(request: Request, most: int) -> None:
    length = declared_length(request)
    if length is not None and length > most:
        raise PayloadTooLarge


def _content_type(request: Request) -> str:
    content_type = request.headers.get("content-type", "")
    empty = not declared_length(request) and "transfer-encoding" not in request.headers
    if not content_type and empty:
        raise MalformedBody(reason="A body is needed.")
    return content_type


def refuse_encoded(request: Request) -> None:
    """Refuse a body that is compressed.

    Raises:
        UnsupportedMediaType: 415. The request has a `Content-Encoding`.
    """
    headers = _headers(request)
    refuse_content_encoding(headers)
    refuse_transfer_encoding(headers)


def require_hook(request: Request) -> None:
    """Fail if the route is not hooked: nothing would remove refused files."""
    if not _fastapi.is_hooked(request):
        raise RuntimeError(
            "An upload has to see how its request ends. Where the application is made, add "
            "FastAPI(lifespan=lifespan(Files(...)))."
        )


def _request_body(content: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": content}}


def _document(operation: dict[str, Any], openapi: dict[str, Any]) -> None:
    for name, value in openapi.items():
        operation.setdefault(name, value)

"""`Resumable`: the routes of tus 1.0.0, for an `Upload` and its store."""

from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response, params
from fastapi.utils import generate_unique_id

from roadworthy import _fastapi
from roadworthy._early_validation import check_parameters
from roadworthy.lifespan import needs
from roadworthy.problems import (
    InsufficientStorage,
    PayloadTooLarge,
    ServiceUnavailable,
    UnsupportedMediaType,
    raises,
)
from roadworthy.problems.declare import amends_openapi
from roadworthy.uploads.arguments import check_text, check_type
from roadworthy.uploads.errors import FileRejected
from roadworthy.uploads.messages import in_own_words
from roadworthy.uploads.resumable import errors
from roadworthy.uploads.resumable.creating import max_bytes
from roadworthy.uploads.resumable.headers import (
    ALGORITHMS,
    EXTENSIONS,
    VERSION,
    http_date,
)
from roadworthy.uploads.resumable.openapi import documents
from roadworthy.uploads.resumable.route import TusRoute, require_version
from roadworthy.uploads.resumable.serving import Serving
from roadworthy.uploads.resumable.unfinished import UploadState
from roadworthy.uploads.stored import Stored
from roadworthy.uploads.upload import Upload, refuse_encoded, require_hook

__all__ = ["Resumable"]

_ADDRESS: Final = (errors.UploadNotFound, errors.UploadGone, errors.UploadBusy)
_BODY: Final = (
    errors.TusHeaderInvalid,
    errors.UploadInterrupted,
    PayloadTooLarge,
    UnsupportedMediaType,
    FileRejected,
    errors.ChecksumMismatch,
    ServiceUnavailable,
    InsufficientStorage,
)

_OURS: Final[dict[str, Any]] = {"generate_unique_id_function": generate_unique_id}
"""The application's function is written for routes that the application has."""


def _nobody() -> str:
    """Return the owner of uploads that anybody may continue."""
    return ""


class Resumable:
    """Receive files that clients of tus 1.0.0 send in several requests.

        archives = Upload(max_bytes=2 * GiB, accept=(ZIP, GZIP))
        resumable = Resumable(archives, path="/archives/resumable", owner=caller)

        @resumable.router.patch("/{upload_id}", status_code=204)
        async def add(file: Annotated[Stored, resumable.file], tx: Tx) -> None: ...

        app.include_router(resumable.router, dependencies=[Depends(caller)])

    `router` creates uploads, reports their offset and terminates them. You declare the route that
    receives the bytes. While the file is not whole, that route answers by itself. Then its
    endpoint runs, with all its dependencies, and the upload is complete when the endpoint has
    answered below 400.

    If the endpoint fails with 5xx, or the process dies, the client sends the last byte again and
    the endpoint runs again with the same `Stored.key`: at least once. To make it once, give the
    column of the key a unique constraint, and treat a conflict there as success. If the endpoint
    answers 4xx, the upload is gone. Refuse with 422 or 403: after 409 or 423 clients try again.

    `owner` and the dependencies of the router run for every request, before the first byte is
    read. Uploads expire after `unfinished_for` of `Files`. The bytes are kept in the store and
    nowhere else, so any process can continue an upload; after the death of a process, the client
    sends at most 16 MiB again. `timeout`, `idle` and `min_rate` of the policy hold for each
    request; a client that is slower is answered 409, and keeps what it has sent.

    For browsers on other origins, give `TUS_HEADERS` to `allow_headers` and `expose_headers`
    of `CORSMiddleware`, and PATCH, HEAD and DELETE to `allow_methods`.

    Args:
        upload: The policy that each file has to meet.
        path: The path of the routes.
        owner: A dependency that returns the id of the user; to other users an upload is 404.
    """

    def __init__(self, upload: Upload, *, path: str, owner: Callable[..., Any] = _nobody) -> None:
        check_type("upload", upload, Upload, "an Upload", "Upload(...)")
        check_text("path", path, example="/archives/resumable")
        if not path.startswith("/") or path.endswith("/"):
            raise ValueError('path begins with a slash and ends with none: write path="/archives".')
        if not callable(owner):
            raise TypeError("owner is a dependency that returns who asks: write owner=caller.")
        self._policy, self._files, self._owner = upload.policy, upload.files, owner
        self._serving = Serving(upload.policy, upload.files)
        self.router = APIRouter(
            prefix=path, route_class=TusRoute, dependencies=[Depends(require_version)]
        )
        """The router to include in the application, with dependencies that authenticate."""
        self.file: params.Depends = Depends(self._receiving())
        """The whole file: `Annotated[Stored, resumable.file]`."""
        self._add_creation()
        self._add_offset()
        self._add_termination()
        self._add_options()

    def _receiving(self) -> Callable[..., Any]:
        @needs(self._files)
        @raises(*_ADDRESS, errors.OffsetConflict, errors.TooManyPieces, *_BODY)
        @amends_openapi(
            documents(
                request=("Tus-Resumable", "Upload-Offset", "Upload-Checksum"),
                answer=("Tus-Resumable", "Upload-Offset", "Upload-Expires"),
                body=True,
            )
        )
        @_fastapi.reads_body
        async def received(
            request: Request, upload_id: str, owner: Annotated[str, Depends(self._owner)]
        ) -> Stored:
            kept: dict[int, Stored] = request.scope.setdefault("roadworthy.uploads", {})
            if id(self) not in kept:  # a transaction may run the endpoint again
                require_hook(request)
                check_parameters(request)
                refuse_encoded(request)
                with in_own_words(request, self._policy.messages):
                    kept[id(self)] = await self._serving.receive(request, upload_id, owner)
            return kept[id(self)]

        return received

    def _add_creation(self) -> None:
        @needs(self._files)
        @raises(*_BODY)
        @amends_openapi(
            documents(
                request=("Tus-Resumable", "Upload-Length", "Upload-Metadata", "Upload-Checksum"),
                answer=("Tus-Resumable", "Location", "Upload-Offset", "Upload-Expires"),
                body=False,
            )
        )
        @_fastapi.reads_body
        async def created(
            request: Request, owner: Annotated[str, Depends(self._owner)]
        ) -> Response:
            require_hook(request)
            check_parameters(request)
            refuse_encoded(request)
            with in_own_words(request, self._policy.messages):
                return await self._serving.create(request, owner)

        @self.router.post("", status_code=201, response_class=Response, **_OURS)
        async def create_upload(answer: Annotated[Response, Depends(created)]) -> Response:
            """Create an upload (tus: creation, creation-with-upload)."""
            return answer

    def _add_offset(self) -> None:
        @needs(self._files)
        @raises(*_ADDRESS)
        @amends_openapi(
            documents(
                request=("Tus-Resumable",),
                answer=(
                    "Tus-Resumable",
                    "Upload-Offset",
                    "Upload-Length",
                    "Upload-Metadata",
                    "Upload-Expires",
                ),
            )
        )
        async def known(
            request: Request, upload_id: str, owner: Annotated[str, Depends(self._owner)]
        ) -> UploadState:
            return await self._serving.state(request, upload_id, owner)

        @self.router.head("/{upload_id}", response_class=Response, **_OURS)
        async def upload_offset(state: Annotated[UploadState, Depends(known)]) -> Response:
            """Return the offset of an upload."""
            info = state.info
            said = {"Upload-Metadata": info.metadata} if info.metadata else {}
            lengths = {"Upload-Offset": str(state.offset), "Upload-Length": str(info.length)}
            expires = {} if state.done else {"Upload-Expires": http_date(info.expires_at)}
            return Response(headers={**lengths, **said, **expires, "Cache-Control": "no-store"})

    def _add_termination(self) -> None:
        @needs(self._files)
        @raises(*_ADDRESS)
        @amends_openapi(documents(request=("Tus-Resumable",), answer=("Tus-Resumable",)))
        async def terminated(
            request: Request, upload_id: str, owner: Annotated[str, Depends(self._owner)]
        ) -> None:
            await self._serving.terminate(request, upload_id, owner)

        ends = [Depends(terminated)]

        @self.router.delete("/{upload_id}", status_code=204, dependencies=ends, **_OURS)
        async def terminate_upload() -> None:
            """Delete an upload; a file that was kept stays (tus: termination)."""

    def _add_options(self) -> None:
        headers = {
            "Tus-Version": VERSION,
            "Tus-Extension": EXTENSIONS,
            "Tus-Max-Size": str(max_bytes(self._policy)),
            "Tus-Checksum-Algorithm": ALGORITHMS,
        }

        @amends_openapi(documents(answer=tuple(headers)))
        async def documented() -> None:
            pass

        told: dict[str, Any] = {"status_code": 204, "dependencies": [Depends(documented)], **_OURS}

        @self.router.options("", **told)
        async def tus_options() -> Response:
            """Return the supported version and extensions of tus."""
            return Response(status_code=204, headers=headers)

        @self.router.options("/{upload_id}", **told)
        async def tus_options_of_upload(upload_id: str) -> Response:
            """Return the supported version and extensions of tus."""
            return Response(status_code=204, headers=headers)

"""Read the body of a request that others read, too, or that nobody else may read."""

# pyright: reportPrivateUsage=false
# A request has no public way to say how far it has been read.

from collections.abc import AsyncGenerator
from typing import Final, TypeVar

from starlette.requests import Request
from starlette.types import Message

__all__ = ["body_of", "has_content", "take_body", "view_as"]

R = TypeVar("R", bound=Request)

_TAKEN: Final = (
    "An upload has read the body of this request. Take its files and fields from the upload: "
    "form: Annotated[Form, documents.form], not from request.body(), .stream(), .form() or .json()."
)


def view_as(request: Request, kind: type[R]) -> R:
    """Return the same request as another kind of `Request`.

    What is read through one of them, the other has read: exception handlers, middleware
    and the route's own class go on with the request that they have.
    """
    view = kind.__new__(kind)
    view.__dict__ = request.__dict__
    return view


async def has_content(request: Request) -> bool:
    """Return whether a body has anything in it. Whoever reads it then reads all of it."""
    if hasattr(request, "_body") or request._stream_consumed:  # noqa: SLF001
        return bool(getattr(request, "_body", b""))
    receive, begun = request._receive, True  # noqa: SLF001
    message = await receive()
    while message.get("more_body", False) and not message.get("body"):
        message = await receive()

    async def receive_again() -> Message:
        nonlocal begun
        if begun:
            begun = False
            return message
        return await receive()

    request._receive = receive_again  # noqa: SLF001
    return bool(message.get("body"))


def body_of(request: Request) -> bytes | None:
    """Return the body if somebody has read it already, None if nobody has begun.

    Raises:
        RuntimeError: Somebody has read it, and did not keep it.
    """
    kept: bytes | None = getattr(request, "_body", None)
    if kept is None and request._stream_consumed:  # noqa: SLF001
        raise RuntimeError(
            "The body of this request has been read by something else: a dependency, another "
            "Upload, or middleware that calls request.stream(). Let one upload read it."
        )
    return kept


def take_body(request: Request) -> None:
    """Refuse every other reader of the body: it gets an error, and does not wait."""
    request._stream_consumed = True  # noqa: SLF001
    request.stream = _refused  # type: ignore[method-assign]


async def _refused() -> AsyncGenerator[bytes]:
    """Fail where a request is asked for its stream."""
    raise RuntimeError(_TAKEN)
    yield b""  # which makes it a generator

"""Read the body of a request that others read too, or be its only reader.

Starlette has no public way to ask how far a body has been read: hence the private attributes.
"""

from collections.abc import AsyncGenerator
from typing import Final, TypeVar

from starlette.requests import Request
from starlette.types import Message, Scope

__all__ = ["body_of", "has_content", "pace_itself", "paces_itself", "take_body", "view_as"]

R = TypeVar("R", bound=Request)

_PACES: Final = "roadworthy.paces"

_TAKEN: Final = (
    "An upload has read the body of this request. Take its files and fields from the upload: "
    "form: Annotated[Form, documents.form], not from request.body(), .stream(), .form() or .json()."
)


def view_as(request: Request, kind: type[R]) -> R:
    """Return the same request as another kind of `Request`.

    The two share their state: when one has read the body, so has the other. Exception handlers,
    middleware and the route's own class keep the request that they have.
    """
    view = kind.__new__(kind)
    view.__dict__ = request.__dict__
    return view


async def has_content(request: Request) -> bool:
    """Return whether a body is not empty. It can be read from its start afterwards."""
    if hasattr(request, "_body") or _is_consumed(request):
        return bool(getattr(request, "_body", b""))
    receive = request._receive  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    begun = True
    message = await receive()
    while message.get("more_body", False) and not message.get("body"):
        message = await receive()

    async def receive_again() -> Message:
        nonlocal begun
        if begun:
            begun = False
            return message
        return await receive()

    request._receive = receive_again  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return bool(message.get("body"))


def body_of(request: Request) -> bytes | None:
    """Return the body if it was read already, None if nobody has begun to read it.

    Raises:
        RuntimeError: Something has read the body, and did not keep it.
    """
    kept: bytes | None = getattr(request, "_body", None)
    if kept is None and _is_consumed(request):
        raise RuntimeError(
            "The body of this request has been read by something else: a dependency, another "
            "Upload, or middleware that calls request.stream(). Let one upload read it."
        )
    return kept


def take_body(request: Request) -> None:
    """Let every other reader of the body fail at once, instead of waiting for ever."""
    request._stream_consumed = True  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    request.stream = _refused  # type: ignore[method-assign]


def pace_itself(scope: Scope) -> None:
    """Note that the reader of this request's body has time limits of its own."""
    scope[_PACES] = True


def paces_itself(scope: Scope) -> bool:
    """Return whether the reader of this request's body has time limits of its own."""
    return _PACES in scope


def _is_consumed(request: Request) -> bool:
    return request._stream_consumed  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


async def _refused() -> AsyncGenerator[bytes]:
    """Stand in for `request.stream`, and fail."""
    raise RuntimeError(_TAKEN)
    yield b""  # which makes it a generator

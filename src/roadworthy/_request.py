"""Read the body of a request that others will read as well."""

# pyright: reportPrivateUsage=false
# A request has no public way to say how far it has been read.

from typing import TypeVar

from starlette.requests import Request
from starlette.types import Message

__all__ = ["has_content", "view_as"]

R = TypeVar("R", bound=Request)


def view_as(request: Request, kind: type[R]) -> R:
    """Return the same request as another kind of `Request`.

    What is read through one of them, the other has read: exception handlers, middleware
    and the route's own class go on with the request that they have.
    """
    view = kind.__new__(kind)
    view.__dict__ = request.__dict__
    return view


async def has_content(request: Request) -> bool:
    """Tell whether a body has anything in it. Whoever reads it then reads all of it."""
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

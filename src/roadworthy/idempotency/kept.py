"""`Kept`: an answer as it is stored, and as it is sent again."""

from dataclasses import dataclass
from typing import Final

from fastapi import Response

__all__ = ["REPLAYED", "CannotKeep", "Kept", "keep"]

REPLAYED: Final = "Idempotent-Replayed"
"""The header that marks a repeat."""

_OF_ONE_EXCHANGE: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding"}
    | {b"upgrade", b"date", b"server", b"x-request-id"}
    # All anonymous callers share their keys: a session must not pass from one to another.
    | {b"set-cookie"}
)
"""Headers that belong to one exchange (RFC 9110 §7.6.1), not to what was answered."""


class CannotKeep(RuntimeError):
    """An answer that cannot be given again, so that its effects were undone (500)."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The status, headers and body of an answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def response(self) -> Response:
        """Return the answer as it was, marked as a repeat."""
        response = Response(self.body, self.status)
        headers = [*self.headers, (REPLAYED.lower(), "true")]
        response.raw_headers = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in headers]
        return response


def keep(response: Response, *, max_bytes: int) -> Kept:
    """Return the answer of a response as it is stored for repeats.

    Raises:
        CannotKeep: It streams, or its body is over `max_bytes`.
    """
    body = getattr(response, "body", None)
    if body is None:
        raise CannotKeep(
            f"A {type(response).__name__} cannot be kept for its Idempotency-Key. Return a "
            "response with a body, or take the Idempotency dependency off this route."
        )
    if len(body) > max_bytes:
        raise CannotKeep(
            f"An answer of {len(body)} bytes is too large to be kept for its Idempotency-Key. "
            f"Answer less, or raise the limit: Idempotency(..., max_bytes={len(body)})."
        )
    headers = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in response.raw_headers
        if name.lower() not in _OF_ONE_EXCHANGE
    ]
    return Kept(response.status_code, headers, bytes(body))

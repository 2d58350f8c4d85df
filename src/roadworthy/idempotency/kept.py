"""`Kept`: an answer as it is stored, and sent again."""

from dataclasses import dataclass
from typing import Final

from fastapi import Response

__all__ = ["REPLAYED", "CannotKeep", "Kept", "keep"]

REPLAYED: Final = "Idempotent-Replayed"
"""The header that marks a repeat."""

_OF_ONE_EXCHANGE: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding"}
    | {b"upgrade", b"date", b"server", b"x-request-id"}
    # Anonymous callers share their keys: no cookie may pass from one to another.
    | {b"set-cookie"}
)
"""Headers of one exchange (RFC 9110 §7.6.1), which are no part of the answer."""


class CannotKeep(RuntimeError):
    """The answer cannot be repeated, so its effects were rolled back (500)."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The status, headers and body of an answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def response(self) -> Response:
        """Return the stored answer, marked as a repeat."""
        response = Response(self.body, self.status)
        headers = [*self.headers, (REPLAYED.lower(), "true")]
        response.raw_headers = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in headers]
        return response


def keep(response: Response, *, max_bytes: int) -> Kept:
    """Return a response in the form that is stored for repeats.

    Raises:
        CannotKeep: The response streams, or its body is over `max_bytes`.
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

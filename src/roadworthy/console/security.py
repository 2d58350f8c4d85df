"""The headers of everything that the console answers."""

from typing import Final

from starlette.responses import Response

__all__ = ["HEADERS", "secure"]

HEADERS: Final = {
    # No script, style or frame but the files of the console itself (CSP Level 3).
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Nothing to other sites. With "no-referrer" a browser would write `Origin: null` into our
    # own forms, and over plain HTTP it sends no Sec-Fetch-Site: nobody could sign in.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
}
"""By their names."""


def secure(response: Response) -> Response:
    """Give a response these headers."""
    for name, value in HEADERS.items():
        response.headers[name] = value
    return response

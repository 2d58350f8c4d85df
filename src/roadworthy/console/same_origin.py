"""Refuse what another site's page sends: cookies alone do not say who wrote a form.

`Sec-Fetch-Site` (W3C Fetch Metadata) is written by the browser, no page can change it; where
a browser does not send it, `Origin` (RFC 6454) has to name the host that was asked.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers

__all__ = ["is_same_origin"]


def is_same_origin(headers: Headers) -> bool:
    """Return whether a page of this origin sent a request; False where nothing says so."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return _host_of(headers.get("origin", "")) == headers.get("host", "").lower() != ""


def _host_of(origin: str) -> str:
    try:
        found = urlsplit(origin)
    except ValueError:
        return ""
    return found.netloc.lower() if found.scheme in {"http", "https"} else ""

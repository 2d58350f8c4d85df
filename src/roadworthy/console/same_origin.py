"""Refuse what another site's page sends: cookies alone do not say who wrote a form.

`Sec-Fetch-Site` (W3C Fetch Metadata) is written by the browser, no page can change it; where
a browser does not send it, `Origin` (RFC 6454) has to name the host that was asked.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers

__all__ = ["is_same_origin", "reads_from_elsewhere"]


def is_same_origin(headers: Headers) -> bool:
    """Return whether a page of this origin sent a request; False where nothing says so."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return _names_us(headers)


def reads_from_elsewhere(headers: Headers) -> bool:
    """Return whether a script of another origin asks for a page, and not somebody by a link.

    CORS may let such a script read answers, and a page on another port of this host has
    even `SameSite=Strict` cookies.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        is_link = headers.get("sec-fetch-mode") == "navigate"
        return site not in {"same-origin", "none"} and not is_link
    return "origin" in headers and not _names_us(headers)


def _names_us(headers: Headers) -> bool:
    return _host_of(headers.get("origin", "")) == headers.get("host", "").lower() != ""


def _host_of(origin: str) -> str:
    try:
        found = urlsplit(origin)
    except ValueError:
        return ""
    return found.netloc.lower() if found.scheme in {"http", "https"} else ""

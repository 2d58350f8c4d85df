"""`Token`: let in who knows a secret, or who opens a link that was printed at start.

A browser signs in by a form and has a session in a cookie from then on; a script sends
`Authorization: Bearer <token>` (RFC 6750) with each request.
"""

import hmac
import os
import secrets
from collections.abc import Iterable
from datetime import timedelta
from hashlib import sha256
from ipaddress import ip_address, ip_network
from time import time
from typing import Final

from starlette.requests import Request

from roadworthy.console.access import EVERY_ACTION, Action, Viewer
from roadworthy.console.sealing import key_from, seal, unseal
from roadworthy.console.tries import Tries
from roadworthy.console.used_once import UsedOnce

__all__ = ["COOKIE", "Token"]

COOKIE: Final = "roadworthy_console"
"""The cookie of a session."""
_IPV4: Final = 4


class Token:
    """An access check of one shared secret: everybody who knows it is one viewer.

        console(access=Token(os.environ["OPS_TOKEN"]))

    A session is a sealed cookie: all workers know it, restarts keep it, and another token
    ends it. Wrong tries are limited by client address: more than `tries` in a minute, and
    that client waits.

    Args:
        token: The secret. Without one nobody signs in, and only links let somebody in.
        name: The name that actions are noted under.
        actions: What may be done; everything, if it is not given.
        session: How long a session lasts.
        key: What sessions and links are sealed with, where there is no token and several
            processes serve: the same text in each.
        tries: Wrong tries that one client has in a minute.

    Raises:
        ValueError: The token is an empty text, or `session` is not above zero.
    """

    def __init__(
        self,
        token: str | None = None,
        *,
        name: str = "operator",
        actions: Iterable[Action] = EVERY_ACTION,
        session: timedelta = timedelta(hours=8),
        key: str | None = None,
        tries: int = 10,
    ) -> None:
        if token is not None and not token.strip():
            raise ValueError("The token is empty: anybody could send that. Give a secret, or None.")
        if session <= timedelta(0):
            raise ValueError(f"session is {session}: write how long, timedelta(hours=8).")
        self._viewer = Viewer(name, actions=actions)
        token = None if token is None else token.strip()
        self._token = None if token is None else _digest(token)
        # With the token also where there is a key: another token ends all sessions.
        root = "\0".join(part for part in (key, token) if part) or secrets.token_urlsafe(32)
        self._sessions = key_from(root, "roadworthy console session")
        self._links = key_from(root, "roadworthy console link")
        self._seconds = session.total_seconds()
        self._tries = Tries(tries)
        self._used = UsedOnce()

    @property
    def signs_in(self) -> bool:
        """Whether there is a token, and so a form for it."""
        return self._token is not None

    @property
    def session_seconds(self) -> int:
        """How long a session lasts."""
        return int(self._seconds)

    def __call__(self, request: Request) -> Viewer | None:
        """Return the viewer where the request has a session, or the token itself."""
        if self._has_session(request) or self._has_bearer(request):
            return self._viewer
        return None

    def wait(self, request: Request) -> float:
        """Return the seconds for which this client has to wait before another try."""
        return self._tries.wait(_client(request))

    def is_right(self, request: Request, given: str) -> bool:
        """Return whether this is the token; a wrong one counts as a try.

        While a client has to wait, no token of it is right.
        """
        if self.wait(request):
            return False
        if self._token is not None and hmac.compare_digest(_digest(given.strip()), self._token):
            return True
        self._tries.note_wrong(_client(request))
        return False

    def session(self) -> str:
        """Return a new session, for the cookie."""
        return seal(self._sessions, {"until": time() + self._seconds, "id": secrets.token_hex(8)})

    def had_session(self, request: Request) -> bool:
        """Return whether the request has a session of ours, be it over or not."""
        return unseal(self._sessions, request.cookies.get(COOKIE, "")) is not None

    def link(self, console_url: str, *, valid: timedelta = timedelta(minutes=5)) -> str:
        """Return a URL that opens the console once: print it where only its owner reads it.

        Args:
            console_url: Where the console is, such as `http://127.0.0.1:8000/ops`.
            valid: For how long the link is good.
        """
        code = seal(
            self._links, {"until": time() + valid.total_seconds(), "id": os.urandom(16).hex()}
        )
        return f"{console_url}?link={code}"

    def knows_link(self, code: str) -> bool:
        """Return whether a link is one of ours, be it good or not."""
        return unseal(self._links, code) is not None

    def use_link(self, code: str) -> bool:
        """Return whether a link is good, and use it up: the second time, it is not."""
        found = unseal(self._links, code)
        if found is None or found["until"] < time():
            return False
        return self._used.first(found["id"], until=found["until"])

    def _has_session(self, request: Request) -> bool:
        found = unseal(self._sessions, request.cookies.get(COOKIE, ""))
        return found is not None and time() < found["until"]

    def _has_bearer(self, request: Request) -> bool:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        # Headers come as Latin-1, and were written as UTF-8 where a token is not of ASCII.
        sent = given.encode("latin-1").decode("utf-8", "replace")
        return scheme.lower() == "bearer" and self.is_right(request, sent)


def _digest(text: str) -> bytes:
    # Of one length, whatever was sent: a comparison tells nothing about the token's own.
    return sha256(text.encode("utf-8", "replace")).digest()


def _client(request: Request) -> str:
    """Return the address of a client; of IPv6 its network, in which everybody has many."""
    host = request.client.host if request.client is not None else "-"
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    return host if address.version == _IPV4 else str(ip_network((address, 64), strict=False))

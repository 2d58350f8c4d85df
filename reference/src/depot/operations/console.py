"""Who may see `/ops`: whoever knows the token, or opens the link that was printed at start."""

import ipaddress
import os
import secrets
from typing import Final

from depot.settings import Settings
from roadworthy.console import Token

__all__ = ["access", "first_link"]

_KEY: Final = "_DEPOT_OPS_KEY"
"""No setting: the process that prints the link tells those that serve the key of its seal."""
_NAME: Final = "operator"


def access(settings: Settings) -> Token | None:
    """Return who is let in; None is nobody: neither a token is set, nor was a link printed."""
    if settings.ops.token is not None:
        return Token(settings.ops.token.get_secret_value(), name=_NAME)
    key = os.environ.get(_KEY)
    return Token(key=key, name=_NAME) if key else None


def first_link(settings: Settings, url: str, host: str) -> str | None:
    """Return a link that opens the console once, where only this machine can follow it.

    The processes that serve have to be started after this call. None where a token is set, or
    where others than this machine reach the server.
    """
    if settings.ops.token is not None or not ipaddress.ip_address(host).is_loopback:
        return None
    key = secrets.token_urlsafe(32)
    os.environ[_KEY] = key
    return Token(key=key, name=_NAME).link(f"{url}/ops")

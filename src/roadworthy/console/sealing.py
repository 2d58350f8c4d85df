"""Seal short texts so that they can be given to a client and believed when they come back.

A sealed text is readable, and cannot be changed: HMAC with SHA-256 (RFC 2104).
"""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from hashlib import sha256
from typing import Any, Final, cast

__all__ = ["key_from", "seal", "unseal"]

_MAX: Final = 2048
"""Characters of a sealed text that are looked at."""


def key_from(secret: str, purpose: str) -> bytes:
    """Derive a key of a purpose from a secret: what is sealed for one is no seal for another."""
    return hmac.new(secret.encode(), purpose.encode(), sha256).digest()


def seal(key: bytes, content: dict[str, Any]) -> str:
    """Return the content as text for cookies and URLs."""
    body = urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
    return f"{body}.{_signature(key, body)}"


def unseal(key: bytes, text: str) -> dict[str, Any] | None:
    """Return the content of a sealed text, or None where somebody else has written it."""
    body, _, signature = text[:_MAX].partition(".")
    if not hmac.compare_digest(
        _signature(key, body).encode(), signature.encode("utf-8", "replace")
    ):
        return None
    try:
        found: object = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (Error, ValueError):
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def _signature(key: bytes, body: str) -> str:
    made = hmac.new(key, body.encode("utf-8", "replace"), sha256).digest()
    return urlsafe_b64encode(made).decode().rstrip("=")

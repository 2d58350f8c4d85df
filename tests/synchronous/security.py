"""Passwords and tokens of the service, on nothing but the standard library."""

import hashlib
import hmac
import secrets
import uuid

KEY = secrets.token_bytes(32)


def hashed(password: str, salt: bytes | None = None) -> str:
    salt = salt or secrets.token_bytes(8)
    return f"{salt.hex()}${hashlib.scrypt(password.encode(), salt=salt, n=16, r=1, p=1).hex()}"


def is_password(password: str, stored: str) -> bool:
    salt = bytes.fromhex(stored.partition("$")[0])
    return hmac.compare_digest(hashed(password, salt), stored)


def token_for(user: uuid.UUID) -> str:
    return f"{user}.{_signed(str(user))}"


def user_of(token: str) -> uuid.UUID | None:
    """Return whom that token names, or None where it was not made here."""
    name, _, signature = token.partition(".")
    return uuid.UUID(name) if hmac.compare_digest(_signed(name), signature) else None


def _signed(text: str) -> str:
    return hmac.new(KEY, text.encode(), "sha256").hexdigest()

"""`Smtp`: hand mail to a mail server."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Final, Self
from urllib.parse import parse_qs, unquote, urlsplit

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientsRefused,
)
from email_validator import validate_email

from depot.mail.mailer import Refused

__all__ = ["SENDER", "Server", "Smtp"]

STEP_SECONDS: Final = 10.0
"""Seconds that the server may take for one answer."""

WHOLE_SECONDS: Final = 30.0
"""Seconds that one message may take in all: a slow server would never end otherwise."""

CONNECTIONS: Final = 5
"""Messages that are sent at once: mail servers refuse clients with many connections."""

SENDER: Final = "depot@localhost"
"""The sender of mail, where the URL names no other."""

_PORTS: Final = {"smtp": 25, "smtps": 465}
_FOR_GOOD: Final = range(500, 600)


@dataclass(frozen=True, slots=True)
class Server:
    """A mail server, as its URL names it."""

    host: str
    port: int
    user: str | None
    password: str | None
    tls: bool
    """True for TLS from the first byte; else it begins where the server offers STARTTLS."""
    sender: str
    """The sender of mail."""

    @classmethod
    def of(cls, url: str) -> Self:
        """Read `smtp://[user:password@]host[:port][?from=address]`, or the same with `smtps`.

        Raises:
            ValueError: It is no such URL.
        """
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/"):
            raise ValueError("not the URL of a mail server")
        return cls(
            host=parts.hostname,
            port=parts.port or _PORTS[parts.scheme],
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            tls=parts.scheme == "smtps",
            sender=_sender(parts.query),
        )


def _sender(query: str) -> str:
    asked = parse_qs(query, strict_parsing=True) if query else {}
    address = asked.pop("from", [SENDER])[-1]
    if asked:
        raise ValueError("the only option is from")
    if address != SENDER:
        validate_email(address, check_deliverability=False, allow_smtputf8=False)
    return address


class Smtp:
    """Send each message over a connection of its own."""

    def __init__(
        self, server: Server, *, step: float = STEP_SECONDS, whole: float = WHOLE_SECONDS
    ) -> None:
        self.server = server
        self.step = step
        self.whole = whole
        self._turns = asyncio.Semaphore(CONNECTIONS)

    async def open(self) -> None:
        """Do nothing: orders are taken whether or not the mail server is up."""

    async def carry(self, message: EmailMessage, *, key: str) -> None:
        """Return once the server has taken responsibility for the message (RFC 5321 §4.2.5).

        Raises:
            Refused: It refused the recipient or the message for good.
            SMTPException, OSError, TimeoutError: Another try may succeed.
        """
        del key  # the Message-ID has it
        async with self._turns, asyncio.timeout(self.whole):
            with _for_good(message):
                await self._send(message)

    async def _send(self, message: EmailMessage) -> None:
        client = SMTP(
            hostname=self.server.host,
            port=self.server.port,
            username=self.server.user,
            password=self.server.password,
            use_tls=self.server.tls,
            timeout=self.step,
        )
        try:
            await client.connect()
            await client.send_message(message)
            with suppress(SMTPException, OSError):
                await client.quit()  # the message is the server's: a farewell can fail
        finally:
            # Not `async with client`: that says farewell to a server that hangs, too.
            client.close()


@contextmanager
def _for_good(message: EmailMessage) -> Generator[None]:
    """Tell what is refused for good from what may pass later.

    A wrong password and an unwelcome sender may pass later, whatever their code: an
    operator sets them right, and no confirmation is lost meanwhile.
    """
    try:
        yield
    except SMTPRecipientsRefused as error:
        _raise_if_for_good(error, *(one.code for one in error.recipients))
        raise
    except SMTPDataError as error:
        _raise_if_for_good(error, error.code)
        raise
    except SMTPNotSupported as error:
        if not message["To"].isascii():
            raise Refused("the mail server takes ASCII addresses only") from error
        raise


def _raise_if_for_good(error: Exception, *codes: int) -> None:
    if all(code in _FOR_GOOD for code in codes):
        raise Refused(f"the mail server refused it: {', '.join(map(str, codes))}") from error

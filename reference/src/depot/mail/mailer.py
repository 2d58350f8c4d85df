"""`Mailer`: the part that hands mail over, to whatever carries it."""

import re
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from types import TracebackType
from typing import Final, Protocol, Self

from email_validator import EmailNotValidError, validate_email

__all__ = ["Carrier", "Mailer", "Refused"]

_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Refused(Exception):
    """The mail server will never take this message; another try would change nothing."""


class Carrier(Protocol):
    """The transport of messages: a directory, or a mail server."""

    async def open(self) -> None:
        """Get ready; a mail server that is away is no reason to fail."""
        ...

    async def carry(self, message: EmailMessage, *, key: str) -> None:
        """Return once the message is somebody else's to lose.

        Raises:
            Refused: It will never be taken.
        """
        ...


class Mailer:
    """Send messages from one address."""

    def __init__(self, carrier: Carrier, *, sender: str) -> None:
        self.carrier = carrier
        self.sender = sender

    async def __aenter__(self) -> Self:
        await self.carrier.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Keep nothing open: a message that is being sent belongs to its job."""

    async def send(self, *, to: str, subject: str, text: str, written: datetime, key: str) -> None:
        """Hand a message over.

        All tries with one `key` make the same message, byte for byte: a file is
        overwritten, and a receiver can tell a repeat by its Message-ID.

        Raises:
            Refused: It will never be taken.
        """
        if not _KEY.fullmatch(key):
            raise ValueError("A key is 1 to 64 of A-Z a-z 0-9 _ -, such as a job's id.")
        message = _message(self.sender, to, subject, text)
        # When its author was done with it, not when it is carried (RFC 5322 §3.6.1).
        message["Date"] = format_datetime(written)
        message["Message-ID"] = f"<{key}@{self.sender.rpartition('@')[2]}>"
        await self.carrier.carry(message, key=key)


def _message(sender: str, to: str, subject: str, text: str) -> EmailMessage:
    address = _on_the_wire(to)
    # These policies refuse a header with a line break in it: nothing can be injected.
    message = EmailMessage(SMTP if address.isascii() else SMTP.clone(utf8=True))
    message["From"] = sender
    message["To"] = address
    message["Subject"] = subject
    # RFC 3834 §5: whoever is on holiday need not answer.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return message


def _on_the_wire(address: str) -> str:
    # A domain has an ASCII form that every server takes; a local part has none.
    try:
        parts = validate_email(address, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError as error:
        raise Refused("the address is none") from error
    return f"{parts.ascii_local_part or parts.local_part}@{parts.ascii_domain}"

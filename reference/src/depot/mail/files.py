"""`Files`: keep outgoing mail as files, which any mail program opens."""

import asyncio
import os
import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

from depot.mail.mailer import Refused

__all__ = ["FULL", "FULL_FOR", "Files"]

FULL: Final = "full@example.com"
"""A mailbox that is full for a while: to see what becomes of mail that is refused."""
FULL_FOR: Final = timedelta(minutes=1)
"""How old a message to it has to be, by its own Date, to be taken."""


class Files:
    """Write each message to `<key>.eml`: a repeat replaces the file of the first try."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    async def open(self) -> None:
        """Make the directory: one that cannot be written to is told at the start."""
        await asyncio.to_thread(self.directory.mkdir, parents=True, exist_ok=True)

    async def carry(self, message: EmailMessage, *, key: str) -> None:
        """Return once the whole message is on disk; a crash leaves all of it or nothing.

        Raises:
            Refused: It is for `full@example.com`, and younger than a minute.
        """
        if message["To"] == FULL and _age(message) < FULL_FOR:
            raise Refused("the mailbox is full; try again in a minute")
        await asyncio.to_thread(_write, self.directory / f"{key}.eml", message.as_bytes())


def _age(message: EmailMessage) -> timedelta:
    return datetime.now(UTC) - parsedate_to_datetime(message["Date"])


def _write(path: Path, content: bytes) -> None:
    # A name of its own for each try: of two workers at the same job, neither spoils the other's.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    _sync(path.parent)


def _sync(directory: Path) -> None:
    # The new name is on disk once the directory is.
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

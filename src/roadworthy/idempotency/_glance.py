"""Read a kept answer while somebody else holds SQLite's one writer."""

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from roadworthy.idempotency._answers import table
from roadworthy.idempotency._kept import Kept

__all__ = ["Glance", "Seen"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A row as it was read, with its answer."""

    fingerprint: str
    expires_at_ms: int
    kept: Kept


class Glance:
    """Reads beside the session, whose transaction begins as a writer and would have to wait.

    It knows the file once a request with a key has come through, and asks nothing of other
    databases, where readers do not wait for writers.
    """

    def __init__(self) -> None:
        self._file: Path | None = None

    def learn(self, engine: sa.Engine) -> None:
        """Remember the file of an engine, if it has one."""
        name = engine.url.database
        if self._file is None and engine.dialect.name == "sqlite" and name:
            file = Path(name).absolute()
            self._file = file if file.is_file() else None

    async def find(self, key_id: str) -> Seen | None:
        """Return the answer that was committed for this key, if one can be seen."""
        if self._file is None:
            return None
        # It never waits on the loop, and what cannot be read here is asked of the session.
        return await asyncio.to_thread(_read, self._file, key_id)


def _read(file: Path, key_id: str) -> Seen | None:
    try:
        with closing(_open(file)) as connection:
            row = connection.execute(_STATEMENT, (key_id,)).fetchone()
    except sqlite3.Error:
        return None
    if row is None or not row[0]:
        return None
    status, headers, body, fingerprint, expires_at_ms = row
    named = [(name, value) for name, value in json.loads(headers)]
    return Seen(fingerprint, expires_at_ms, Kept(status, named, body))


def _open(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)


_BUSY_SECONDS = 0.5
"""A commit holds readers back for as long as the disk takes."""

_COLUMNS = "status, headers, body, fingerprint, expires_at_ms"
_STATEMENT = f"SELECT {_COLUMNS} FROM {table.name} WHERE id = ?"  # noqa: S608 - names of ours

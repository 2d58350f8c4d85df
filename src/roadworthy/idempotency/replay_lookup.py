"""Read a stored answer while another request holds SQLite's only writer."""

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.orm import Session

from roadworthy.idempotency.answers_table import table
from roadworthy.idempotency.kept import Kept

__all__ = ["Seen", "glance"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A row of the table with its answer."""

    fingerprint: str
    expires_at_ms: int
    kept: Kept


async def glance(session: Session, key_id: str) -> Seen | None:
    """Return the committed answer of a key, if it can be read beside the session.

    The session's own transaction would begin as a writer, and wait for the other one. Other
    databases are not asked here: their readers do not wait for writers.
    """
    file = _file_of(session)
    if file is None:
        return None
    # This never blocks the loop. What cannot be read here, the session reads.
    return await asyncio.to_thread(_read, file, key_id)


def _file_of(session: Session) -> Path | None:
    """Return the SQLite file that the session will write to, None for other databases."""
    try:
        engine = session.get_bind()
    except exc.UnboundExecutionError:  # by what it will be asked for: nobody knows yet
        return None
    if not isinstance(engine, sa.Engine) or engine.dialect.name != "sqlite":
        return None
    file = Path(engine.url.database or "").absolute()
    return file if file.is_file() else None


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
"""Seconds to wait for a commit, which holds readers back while the disk writes."""

_COLUMNS = "status, headers, body, fingerprint, expires_at_ms"
_STATEMENT = f"SELECT {_COLUMNS} FROM {table.name} WHERE id = ?"  # noqa: S608 - names of ours

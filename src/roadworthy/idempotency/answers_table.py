"""The table of stored answers, and every statement that reads or writes it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from roadworthy._internal.extras import extra

with extra("database", of="roadworthy.idempotency"):
    import sqlalchemy as sa
    from sqlalchemy.dialects import postgresql, sqlite
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
    from sqlalchemy.orm import Session

from roadworthy.idempotency.kept import Kept
from roadworthy.problems import request_id

__all__ = [
    "claim",
    "find",
    "forget",
    "keep",
    "metadata",
    "milliseconds",
    "sweep",
    "sweep_sync",
    "table",
]

metadata = sa.MetaData()
"""The table's metadata, for Alembic; in tests, `metadata.create_all` makes the table."""

table = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("route", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("headers", sa.JSON, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("expires_at_ms", sa.BigInteger, nullable=False, index=True),
    sa.Column("request_id", sa.String(128), index=True),
)
"""A row for each stored answer.

`id` is the SHA-256 of caller, route and key, which are not stored. `expires_at_ms` counts
milliseconds since 1970 in UTC, which every database compares alike. `status` is 0 while the
request runs: such a row is not visible to others, unless the effects were committed apart from
the answer. `request_id` is that of the first request, by which operators find its answer.
"""

_INSERTS: Final[dict[str, Callable[[sa.Table], postgresql.Insert | sqlite.Insert]]] = {
    "postgresql": postgresql.insert,
    "sqlite": sqlite.insert,
}
"""INSERT of the databases that can skip a row that exists, and say so."""


async def find(connection: AsyncConnection, key_id: str) -> sa.Row[Any] | None:
    """Return the row of a key, None if there is none."""
    return (await connection.execute(sa.select(table).where(table.c.id == key_id))).one_or_none()


async def forget(connection: AsyncConnection, key_id: str) -> None:
    """Remove the row of a key."""
    await connection.execute(sa.delete(table).where(table.c.id == key_id))


async def claim(
    connection: AsyncConnection, key_id: str, *, route: str, fingerprint: str, expires: datetime
) -> bool:
    """Insert a row without an answer, and return whether the key was free.

    However the transaction ends, its effects exist only together with this row. So nothing
    happens twice, even if the transaction is ended behind our back.
    """
    row: dict[str, Any] = {
        "id": key_id,
        "route": route,
        "fingerprint": fingerprint,
        "status": 0,
        "headers": [],
        "body": b"",
        "expires_at_ms": milliseconds(expires),
        "request_id": request_id(),
    }
    insert = _INSERTS.get(connection.dialect.name)
    if insert is None:
        if await find(connection, key_id) is not None:
            return False
        await connection.execute(sa.insert(table), row)
        return True
    # psycopg drops the count of an INSERT when its cursor is closed.
    statement = insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
    result = await connection.execute(statement, row)
    return result.rowcount == 1


async def keep(connection: AsyncConnection, key_id: str, kept: Kept) -> None:
    """Write the answer into the row of a key."""
    answer = {"status": kept.status, "headers": kept.headers, "body": kept.body}
    await connection.execute(sa.update(table).where(table.c.id == key_id), answer)


async def sweep(session: AsyncSession, *, now: datetime | None = None, limit: int = 1000) -> int:
    """Remove up to `limit` expired answers, and return how many there were.

    The caller commits the transaction. An expired key is free even without this, which only
    frees the space. Call this about every hour, and again at once while it returns `limit`.
    """
    result = await (await session.connection()).execute(_sweeping(now, limit))
    return result.rowcount


def sweep_sync(session: Session, *, now: datetime | None = None, limit: int = 1000) -> int:
    """Remove up to `limit` expired answers, as `sweep` does, with a `Session`."""
    return session.connection().execute(_sweeping(now, limit)).rowcount


def _sweeping(now: datetime | None, limit: int) -> sa.Delete:
    expired = (
        sa.select(table.c.id)
        .where(table.c.expires_at_ms <= milliseconds(now or datetime.now(UTC)))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return sa.delete(table).where(table.c.id.in_(expired))


def milliseconds(moment: datetime) -> int:
    """Return the milliseconds from 1970 to a moment with a time zone."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

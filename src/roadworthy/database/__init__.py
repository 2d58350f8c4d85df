"""Units of work that are committed before the response: SQLite and PostgreSQL.

    app = FastAPI(lifespan=lifespan(Database("sqlite:///app.db")))

    @app.post("/items", status_code=201)
    async def add(item: Item, tx: Tx) -> Item:
        tx.add(ItemRow(**item.model_dump()))
        return item

`Tx` is SQLAlchemy's own `AsyncSession`. A `def` route has the same with its `Session`:

    @app.post("/items", status_code=201)
    def add(item: Item, tx: SyncTx) -> Item:
        tx.add(ItemRow(**item.model_dump()))
        return item
"""

from roadworthy._internal.extras import extra

with extra("database", of="roadworthy.database"):
    import sqlalchemy.ext.asyncio as _  # noqa: F401 - so that its absence is told once

from roadworthy.database.awaiting import Unawaited
from roadworthy.database.database import Database
from roadworthy.database.dependencies import (
    Read,
    ReadLatest,
    SyncRead,
    SyncReadLatest,
    SyncTx,
    Tx,
    reading,
    sync_reading,
    sync_transaction,
    transaction,
)
from roadworthy.database.errors import StatementFailed, UnitClosed
from roadworthy.database.postgresql.connecting import reason
from roadworthy.database.unit import on_commit

__all__ = [
    "Database",
    "Read",
    "ReadLatest",
    "StatementFailed",
    "SyncRead",
    "SyncReadLatest",
    "SyncTx",
    "Tx",
    "Unawaited",
    "UnitClosed",
    "on_commit",
    "reading",
    "reason",
    "sync_reading",
    "sync_transaction",
    "transaction",
]

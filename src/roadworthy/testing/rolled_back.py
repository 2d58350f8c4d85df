"""`rolled_back`: a test whose requests and jobs are undone at its end."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from roadworthy.database import Database

__all__ = ["rolled_back"]


@asynccontextmanager
async def rolled_back(*databases: Database) -> AsyncGenerator[None]:
    """Undo at the end all that was done in the databases, commits among it.

        async with rolled_back(db):
            async with db.begin() as tx:
                await remind.enqueue(tx, order_id="1")
            await Worker(jobs).run_due()

    A database that is not open is opened, and an application may open it once more within:
    its `lifespan`. There is one connection, lent in turns: a commit releases a savepoint,
    `on_commit` calls back, and the next unit of work sees what was written. Other
    processes see nothing of it.

    Raises:
        RuntimeError: A unit of work is open, or it is within another `rolled_back`.
    """
    async with AsyncExitStack() as stack:
        for database in databases:
            await stack.enter_async_context(database.rolled_back())
        yield

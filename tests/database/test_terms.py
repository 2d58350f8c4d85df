"""Terms of a transaction that it cannot have are refused where they are written."""

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from roadworthy.database import Database, sync_transaction, transaction

DB = Database("sqlite://")


@pytest.mark.parametrize("wrong", [0, -1, 2.5, "3", True, None])
@pytest.mark.parametrize("declare", [transaction, sync_transaction])
def test_attempts_are_one_or_more(declare, wrong):
    with pytest.raises((TypeError, ValueError), match="attempts is"):
        declare(attempts=wrong)


@pytest.mark.parametrize("declare", [transaction, sync_transaction, DB.begin, DB.begin_sync])
@pytest.mark.parametrize("wrong", ["NOPE", "", "serializable", "AUTOCOMMIT", "SERIALIZABLE;", 5])
def test_an_isolation_is_a_level_of_postgresql(declare, wrong):
    with pytest.raises((TypeError, ValueError), match=r'isolation is .*isolation="SERIALIZABLE"'):
        declare(isolation=wrong)


@pytest.mark.parametrize("level", ["SERIALIZABLE", "REPEATABLE READ", "REPEATABLE_READ", None])
async def test_its_levels_are_taken(database_url, level):
    transaction(isolation=level)
    async with Database(database_url) as db, db.begin(isolation=level) as tx:
        await tx.connection()


@pytest.mark.parametrize("declare", [transaction, DB.begin, DB.read])
@pytest.mark.parametrize("wrong", [5, "AsyncSession", Session, object()])
def test_a_session_is_a_class_of_sessions(declare, wrong):
    with pytest.raises(TypeError, match="session=AsyncSession"):
        declare(session=wrong)


def test_so_is_the_one_of_the_whole_database():
    with pytest.raises(TypeError, match="session=AsyncSession"):
        Database("sqlite://", session_class=dict)


@pytest.mark.parametrize("declare", [sync_transaction, DB.begin_sync, DB.read_sync])
@pytest.mark.parametrize("wrong", [5, "Session", AsyncSession, object()])
def test_one_of_threads_is_a_class_of_synchronous_sessions(declare, wrong):
    with pytest.raises(TypeError, match="session=Session"):
        declare(session=wrong)

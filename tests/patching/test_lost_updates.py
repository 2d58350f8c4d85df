"""P4: of two patches of different things at one time, both survive, on PostgreSQL.

`apply` merges into the row as it is while it is locked, and only what was sent is
written. Without either half an update is lost: the last test shows it.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import JSON, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from roadworthy import patching
from roadworthy.patching import AnyPatch, Patch

ROUNDS = 150


class Item(BaseModel):
    model_config = {"from_attributes": True}
    name: str
    quantity: int
    attributes: dict[str, Any]


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    quantity: Mapped[int]
    attributes: Mapped[dict[str, Any]] = mapped_column(JSON)


def service(engine: AsyncEngine, *, locked: bool) -> FastAPI:
    app = FastAPI()

    @app.patch("/items/{item_id}")
    async def update_item(item_id: int, patch: Annotated[Patch[Item], AnyPatch]) -> Item:
        async with AsyncSession(engine) as session, session.begin():
            query = select(Row).where(Row.id == item_id)
            row = await session.scalar(query.with_for_update() if locked else query)
            change = patching.apply(patch, Item.model_validate(row))
            await session.execute(update(Row).where(Row.id == item_id).values(**change.values))
        return change.after

    return app


@pytest.fixture
async def engine(postgres_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(postgres_url.replace("postgresql", "postgresql+asyncpg", 1))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(engine) as session, session.begin():
        session.add(Row(id=1, name="", quantity=0, attributes={}))
    yield engine
    await engine.dispose()


async def lost(app: FastAPI, engine: AsyncEngine, send: Any, seen: Any) -> int:
    """Count the rounds after which one of two acknowledged patches has left no trace."""
    transport = httpx.ASGITransport(app)
    missing = 0
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        for number in range(1, ROUNDS + 1):
            replies = await asyncio.gather(*(client.patch("/items/1", **s) for s in send(number)))
            assert [reply.status_code for reply in replies] == [200, 200]
            async with AsyncSession(engine) as session:
                row = await session.get_one(Row, 1)
                missing += not seen(Item.model_validate(row), number)
    return missing


def two_fields(number: int) -> list[Any]:
    return [{"json": {"quantity": number}}, {"json": {"name": str(number)}}]


def two_keys(number: int) -> list[Any]:
    return [{"json": {"attributes": {side: {"n": number}}}} for side in ("a", "b")]


def two_operations(number: int) -> list[Any]:
    return [
        {
            "content": f'[{{"op": "add", "path": "/attributes/{side}", "value": {number}}}]',
            "headers": {"Content-Type": "application/json-patch+json"},
        }
        for side in ("a", "b")
    ]


def both_fields(item: Item, number: int) -> bool:
    return (item.quantity, item.name) == (number, str(number))


def both_keys(item: Item, number: int) -> bool:
    return item.attributes == {"a": {"n": number}, "b": {"n": number}}


def both_operations(item: Item, number: int) -> bool:
    return item.attributes == {"a": number, "b": number}


@pytest.mark.parametrize("locked", [True, False])
async def test_p4_patches_of_different_fields_both_survive(engine, locked):
    """Lock or no lock: the columns that were not sent are not written."""
    assert await lost(service(engine, locked=locked), engine, two_fields, both_fields) == 0


async def test_p4_patches_of_different_keys_of_a_json_column_both_survive(engine):
    assert await lost(service(engine, locked=True), engine, two_keys, both_keys) == 0


async def test_p4_json_patches_of_different_keys_both_survive(engine):
    assert await lost(service(engine, locked=True), engine, two_operations, both_operations) == 0


async def test_p4_without_the_lock_these_tests_fail(engine):
    assert await lost(service(engine, locked=False), engine, two_keys, both_keys) > 0

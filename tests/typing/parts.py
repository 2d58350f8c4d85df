"""What type checkers make of parts: `find` returns the type that was asked for.

Never run. Each ignore is an assertion: both checkers report it where it is not needed.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from contextlib import AbstractAsyncContextManager
from typing import assert_type

from fastapi import APIRouter, FastAPI, Request
from sqlalchemy.ext.asyncio import AsyncSession

from roadworthy.database import Database, Read, Tx
from roadworthy.lifespan import find, lifespan

database = Database("sqlite:///shop.db")
FastAPI(lifespan=lifespan(database))
APIRouter(lifespan=lifespan(database))

lifespan("sqlite:///shop.db")  # type: ignore[arg-type]


def endpoint(request: Request) -> None:
    assert_type(find(request, Database), Database)


async def writes(tx: Tx, read: Read) -> None:
    assert_type(tx, AsyncSession)
    assert_type(read, AsyncSession)


def is_a_part(part: Database) -> AbstractAsyncContextManager[object]:
    return part

"""RW703: a route on the event loop waits for its database, or for Redis.

The calls that wait, of each client, are in `audit/dataflow/blocking_calls.py`: add others there.
"""

from collections.abc import Iterator
from typing import Final

from roadworthy.audit.analyses.stalls import Stall, on_loop, once_a_call, stalls
from roadworthy.audit.fastapi.loop_entries import LoopEntry
from roadworthy.audit.model.finding import Severity
from roadworthy.audit.model.rule import Example, Hit, Rule

__all__ = ["RULE"]


def _check(route: LoopEntry) -> Iterator[Hit]:
    for function in on_loop(route):
        for stall in once_a_call(one for one in stalls(function) if _counts(one)):
            yield Hit(
                place=stall.function.place(stall.first.call.node),
                message=_message(stall),
                flow=stall.flow(f"{function.name}() runs on the event loop"),
            )


def _counts(stall: Stall) -> bool:
    return stall.effect.kind == "database"


def _message(stall: Stall) -> str:
    return (
        f"{stall.text} waits for the database on the event loop: while a query or a lock "
        "takes its time, no other request is answered."
    )


_DIRECT = Example("""
from fastapi import Depends, FastAPI
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session, sessionmaker
from shop.tables import Product

app = FastAPI()
sessions = sessionmaker(create_engine("postgresql:///shop"))

def get_session():
    with sessions() as session:
        yield session

@app.get("/products/{number}")
async def product(number: int, session: Session = Depends(get_session)):
    found = session.scalars(select(Product).where(Product.id == number)).first()  # found
    session.commit()  # found
    return found
""")

_THROUGH_HELPERS = Example("""
# file: shop/products.py
from sqlalchemy.orm import Session
from shop.tables import Product

class Products:
    def __init__(self, session: Session):
        self.session = session

    def cheap(self, most: int):
        return self.session.query(Product).filter(Product.price < most).all()

# file: shop/api.py
from fastapi import APIRouter, Depends
from shop.products import Products

router = APIRouter()

@router.get("/products")
async def cheap_products(most: int, products: Products = Depends()):
    return products.cheap(most)  # found
""")

_REDIS = Example("""
import redis
from fastapi import FastAPI

app = FastAPI()
stock = redis.Redis(host="stock")

@app.get("/stock/{number}")
async def in_stock(number: int):
    return {"left": stock.get(f"product:{number}")}  # found
""")

_ASYNC_SESSION = Example("""
import redis.asyncio as redis
from fastapi import Depends, FastAPI
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from shop.tables import Product

app = FastAPI()
stock = redis.Redis(host="stock")
sessions = async_sessionmaker(create_async_engine("postgresql+asyncpg:///shop"))

async def get_session():
    async with sessions() as session:
        yield session

@app.get("/products/{number}")
async def product(number: int, session: AsyncSession = Depends(get_session)):
    await stock.get(f"product:{number}")
    return await session.scalar(select(Product).where(Product.id == number))
""")

_SYNC_ROUTE = Example("""
from fastapi import Depends, FastAPI
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker
from shop.tables import Product

app = FastAPI()
sessions = sessionmaker(create_engine("postgresql:///shop"))

def get_session():
    with sessions() as session:
        yield session

def find(session: Session, number: int):
    return session.get(Product, number)

@app.get("/products/{number}")
def product(number: int, session: Session = Depends(get_session)):
    return find(session, number)

@app.get("/goods/{number}")
async def good(number: int, session: Session = Depends(get_session)):
    return await run_in_threadpool(find, session, number)
""")

RULE: Final = Rule(
    code="RW703",
    name="sync-db-in-async-route",
    severity=Severity.MEDIUM,
    looks="loop",
    check=_check,
    sources=rb"starlette",
    summary="A route declared with `async def` asks a database through a synchronous client.",
    why="""An `async def` route shares one thread with every other request of its process.
A synchronous session, connection or client waits in that thread: one slow query, one row
that another transaction holds, and the process answers nobody. Many such requests use one
connection after another instead of the whole pool.""",
    mend="Write `def` instead of `async def`, or use AsyncSession and `await` it.",
    ours="`Tx` and `Read` of `roadworthy.database` are asynchronous; `SyncTx` and `SyncRead` are "
    "for `def` routes, and refused in others.",
    bad=(_DIRECT, _THROUGH_HELPERS, _REDIS),
    good=(_ASYNC_SESSION, _SYNC_ROUTE),
)
"""Finds synchronous database calls in async routes."""

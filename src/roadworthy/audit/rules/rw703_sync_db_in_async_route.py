"""RW703: a route on the event loop waits for its database."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, cast

from roadworthy.audit.finding import Confidence, Severity, Step
from roadworthy.audit.module import Function, Module
from roadworthy.audit.place import Place
from roadworthy.audit.routes import routes_in
from roadworthy.audit.rule import Example, Hit, Rule
from roadworthy.audit.service import Service
from roadworthy.audit.stalls import Stall, on_loop, stalls

__all__ = ["RULE"]


_FEW: Final = 8
"""As many findings are shown each for itself, however small the service is."""
_SHARE: Final = 8
"""So are those of one route in so many; more are a decision that is made for all of them."""


def _collect(module: Module) -> tuple[Hit, ...] | None:
    found = (_hit(one) for route in routes_in(module) for one in on_loop(route))
    return tuple(hit for hit in found if hit is not None) or None


def _hit(function: Function) -> Hit | None:
    found = [one for one in stalls(function) if one.effect.kind == "database"]
    if not found:
        return None
    calls = len({id(one.first.call.node) for one in found})
    return Hit(
        place=found[0].function.place(found[0].first.call.node),
        message=_message(found[0], calls - 1),
        flow=found[0].flow(f"{function.name}() runs on the event loop"),
    )


def _check(service: Service) -> Iterator[Hit]:
    """Show each finding; where most routes of a service do it, the first of each file.

    The others are listed with it, and are findings of low confidence.
    """
    hits = _collected(service)
    if len(hits) <= max(_FEW, service.routes / _SHARE):
        yield from hits
        return
    files: dict[str, list[Hit]] = defaultdict(list)
    for hit in hits:
        files[hit.place.path].append(hit)
    for first, *others in files.values():
        yield _with(others, first)
        yield from (replace(hit, confidence=Confidence.LOW) for hit in others)


def _collected(service: Service) -> list[Hit]:
    """Return what modules said, once: many routes may have the same dependency."""
    found: dict[Place, Hit] = {}
    for _, hits in service.collected.get("RW703", ()):
        for hit in cast("tuple[Hit, ...]", hits):
            found.setdefault(hit.place, hit)
    return sorted(found.values(), key=lambda hit: (hit.place.path, hit.place.line))


def _with(others: list[Hit], first: Hit) -> Hit:
    if not others:
        return first
    also = (Step(hit.place.path, hit.place.line, f"so does {hit.place.where}()") for hit in others)
    one = len(others) == 1
    more = f"does {others[0].place.where}()" if one else f"do {len(others)} more functions"
    said = f"{first.message} So {more} of this file."
    return replace(first, message=said, flow=(*first.flow, *also))


def _message(stall: Stall, more: int) -> str:
    others = f" ({more} more in the same function)" if more else ""
    return (
        f"{stall.text} waits for the database on the event loop: while a query or a lock "
        f"takes its time, no other request is answered{others}."
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
    session.commit()
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
    looks="service",
    check=_check,
    collect=_collect,
    summary="A route declared with `async def` asks a database through a synchronous client.",
    why="""An `async def` route shares one thread with every other request of its process.
A synchronous session, connection or client waits in that thread: one slow query, one row
that another transaction holds, and the process answers nobody. Many such requests use one
connection after another instead of the whole pool. It is reported once for each route; where
more than one in eight routes do it, once for each file, with the others of that file.""",
    mend="Write `def` instead of `async def`, or use AsyncSession and `await` it.",
    ours="`Tx` and `Read` of `roadworthy.database` are asynchronous.",
    bad=(_DIRECT, _THROUGH_HELPERS, _REDIS),
    good=(_ASYNC_SESSION, _SYNC_ROUTE),
)
"""The rule."""

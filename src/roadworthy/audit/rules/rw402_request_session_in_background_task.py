"""RW402: a background task works with the database session of the request."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.analyses.request_sessions import (
    closed_before,
    held_by,
    is_connection,
    taken_beside,
)
from roadworthy.audit.fastapi.background import Task, tasks
from roadworthy.audit.model.finding import Confidence, Severity
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source.module import Function
from roadworthy.audit.source.nodes import written

__all__ = ["RULE"]


def _check(function: Function) -> Iterator[Hit]:
    for task in tasks(function):
        found = held_by(task, function)
        if found is not None:
            yield Hit(
                place=function.place(task.call),
                message=_message(task, found, function),
                confidence=Confidence.HIGH,
            )
    for call, session in taken_beside(function):
        text = f"{written(call.func)}()"[:60]
        yield Hit(
            place=function.place(call),
            message=(
                f"{text} gets the request's session by {written(session)} and runs beside the "
                "request, which closes the session under it; and two tasks at a time may "
                "not use one session."
            ),
        )


def _message(task: Task, node: ast.expr, function: Function) -> str:
    name = written(node)
    closed = closed_before(node, function)
    if closed and is_connection(node, function):
        return (
            f"{task.text} gets the request's connection by {name}, which is given back before the "
            f"task runs ({closed}): it is closed, or works for another request at the same time."
        )
    if closed:
        return (
            f"{task.text} gets the request's session by {name}, which is closed before the "
            f"task runs ({closed}): it takes a new connection that nobody gives back."
        )
    return (
        f"{task.text} gets the request's session by {name}: its connection is taken until the "
        "task ends, and what the task writes belongs to a transaction that the answer has ended."
    )


_PASSED = Example("""
from fastapi import BackgroundTasks, Depends, FastAPI
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker

app = FastAPI()
sessions = sessionmaker(create_engine("postgresql:///shop"))

def get_session():
    with sessions() as session:
        yield session

def count(session: Session, number: int) -> None:
    try:
        session.execute("update products set seen = seen + 1")
        session.commit()
    except Exception:
        session.rollback()

@app.get("/products/{number}")
def product(number: int, tasks: BackgroundTasks, session: Session = Depends(get_session)):
    tasks.add_task(count, session, number)  # found
    return {"number": number}
""")

_IN_AN_OBJECT = Example(
    """
# file: shop/repositories.py
from sqlalchemy.ext.asyncio import AsyncSession

class Products:
    def __init__(self, session: AsyncSession):
        self.session = session

    async def count(self, number: int) -> None:
        try:
            await self.session.execute("update products set seen = seen + 1")
        except Exception:
            await self.session.rollback()

# file: shop/api.py
from fastapi import APIRouter, BackgroundTasks, Depends
from shop.repositories import Products
from shop.sessions import get_session

router = APIRouter()

def get_products(session=Depends(get_session)) -> Products:
    return Products(session)

async def index(products: Products) -> None:
    await products.count(0)

@router.get("/products/{number}")
async def product(number: int, tasks: BackgroundTasks, products=Depends(get_products)):
    tasks.add_task(products.count, number)  # found
    tasks.add_task(index, products=products)  # found
    return {"number": number}
""",
    "The session is hidden in what the task is a method of, or gets.",
)

_BESIDE = Example(
    """
import asyncio
from fastapi import BackgroundTasks, Depends, FastAPI
from sqlalchemy.ext.asyncio import AsyncSession
from shop.mails import send
from shop.sessions import get_session

app = FastAPI()
running: set[asyncio.Task] = set()

async def count(session: AsyncSession, number: int) -> None:
    await session.execute("update products set seen = seen + 1")
    await session.commit()

@app.get("/products/{number}")
async def product(number: int, session: AsyncSession = Depends(get_session)):
    task = asyncio.create_task(count(session, number))  # found
    running.add(task)
    task.add_done_callback(running.discard)
    return {"number": number}

@app.post("/orders")
async def order(tasks: BackgroundTasks, session: AsyncSession = Depends(get_session)):
    async def confirm():
        await send(await session.scalar("select address from shop"))

    tasks.add_task(confirm)  # found
    return {}
""",
    "A task of asyncio gets it, or a function that is written inside the route.",
)

_ITS_OWN = Example("""
import asyncio
from fastapi import BackgroundTasks, Depends, FastAPI
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker

app = FastAPI()
sessions = sessionmaker(create_engine("postgresql:///shop"))

def get_session():
    with sessions() as session:
        yield session

def count(number: int) -> None:
    try:
        with sessions.begin() as session:
            session.execute("update products set seen = seen + 1")
    except Exception:
        pass

@app.get("/products/{number}")
def product(number: int, tasks: BackgroundTasks, session: Session = Depends(get_session)):
    def remind():
        try:
            with sessions.begin() as session:
                session.execute("update products set reminded = true")
        except Exception:
            pass

    tasks.add_task(count, number)
    tasks.add_task(remind)
    return {"number": session.info}

async def find(session: Session, number: int) -> str:
    return session.get_one(str, number)

@app.get("/names/{number}")
async def name(number: int, session: Session = Depends(get_session)):
    task = asyncio.create_task(find(session, number))
    return await task
""")

RULE: Final = Rule(
    code="RW402",
    name="request-session-in-background-task",
    severity=Severity.HIGH,
    looks="function",
    check=_check,
    summary="A background task is given the database session of the request.",
    why="""A background task runs after the answer. Its request's session is closed by then
(FastAPI from 0.106 to 0.117, and with `scope="function"`), so that it quietly opens a new
transaction which nobody commits or returns to the pool; or it is kept open for the task
(otherwise), so that a slow task keeps a connection from all other requests.""",
    mend="Give the task what it needs as values, and let it open a session of its own.",
    ours="Jobs of `roadworthy.jobs` get a transaction of their own.",
    bad=(_PASSED, _IN_AN_OBJECT, _BESIDE),
    good=(_ITS_OWN,),
)
"""Finds background tasks that work with the session of the request."""

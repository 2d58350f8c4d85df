"""RW402: a background task works with the database session of the request."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.dataflow.given_parameters import is_always_none
from roadworthy.audit.dataflow.reach import callee, reach
from roadworthy.audit.dataflow.started_tasks import left_behind
from roadworthy.audit.dataflow.values import dotted
from roadworthy.audit.fastapi.background import Task, tasks
from roadworthy.audit.fastapi.dependencies import Need, needs_of
from roadworthy.audit.fastapi.routes import route_of
from roadworthy.audit.model.finding import Confidence, Severity
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source import names
from roadworthy.audit.source.memory import remembered
from roadworthy.audit.source.module import Assigned, Function
from roadworthy.audit.source.nodes import last_name, root, written
from roadworthy.audit.source.pins import Pin, pin_of, service_root
from roadworthy.audit.source.ref import Ref

__all__ = ["RULE"]

_SESSIONS: Final = (
    *("sqlalchemy.orm.Session", "sqlalchemy.ext.asyncio.AsyncSession", "sqlalchemy.Connection"),
    *("sqlalchemy.ext.asyncio.AsyncConnection", "asyncpg.Connection", "psycopg.AsyncConnection"),
    *("psycopg.Connection", "psycopg2.connection", "sqlite3.Connection", "aiosqlite.Connection"),
)
_BARE: Final = tuple(name for name in _SESSIONS if not name.startswith("sqlalchemy."))
"""Connections that nothing opens again: sessions take a new one."""
_CLOSED: Final = ((0, 106), (0, 118))
"""From the first to the second, dependencies were left before the answer was sent."""


def _check(function: Function) -> Iterator[Hit]:
    for task in tasks(function):
        found = next((one for one in _held(task) if _is_session(one, function)), None)
        if found is None:
            continue
        closed = _closed(found, function)
        yield Hit(
            place=function.place(task.call),
            message=_message(task, found, closed, names.resolve(found, function)),
            confidence=Confidence.HIGH,
        )
    yield from _beside(function)


def _beside(function: Function) -> Iterator[Hit]:
    """Return tasks of asyncio that get the session of the request that starts them."""
    if not any(one in function.module.source for one in _STARTED) or route_of(function) is None:
        return
    for call in left_behind(function):
        given = (*call.args, *(keyword.value for keyword in call.keywords))
        parts = (part for one in given for part in _parts(one))
        found = next((one for one in parts if _is_of_request(one, function)), None)
        if found is not None:
            text = f"{written(call.func)}()"[:60]
            yield Hit(
                place=function.place(call),
                message=(
                    f"{text} gets the request's session by {written(found)} and runs beside the "
                    "request, which closes the session under it; and two tasks at a time may "
                    "not use one session."
                ),
            )


_STARTED: Final = (b"create_task", b"ensure_future")


def _is_of_request(node: ast.expr, function: Function) -> bool:
    """Return whether an expression is a session from `Depends`, or was made with one."""
    if not _is_session(node, function):
        return False
    return _need(node, function) is not None or _made_with_session(node, function)


def _held(task: Task) -> Iterator[ast.expr]:
    """Return what a task has: its arguments, and what it is a method of."""
    for given in task.given:
        yield from _parts(given)
    match task.target:
        case ast.Attribute(value=owner) if dotted(owner) != "self" and _uses_session(task):
            yield owner
        case ast.Name() if task.function is not None and task.function.outer is task.reached.scope:
            yield from _closed_over(task.function, task.reached.scope)
        case ast.Call() | ast.Lambda():  # `partial(work, session)`, `lambda: work(session)`
            yield from _parts(task.target)
        case _:
            pass


def _closed_over(inner: Function, function: Function) -> Iterator[ast.expr]:
    """Return the names of a function that a function inside it uses."""
    for part in inner.node.body:
        for node in ast.walk(part):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                own = node.id in inner.names or inner.param(node.id) is not None
                outer = node.id in function.names or function.param(node.id) is not None
                if outer and not own:
                    yield node


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    """Return an expression, or those that a list, a `partial` or a lambda has."""
    match node:
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            for one in parts:
                yield from _parts(one)
        case ast.Dict(values=values):
            for one in values:
                yield from _parts(one)
        case ast.Lambda(body=ast.Call() as call):
            yield from _parts(call)
        case ast.Call(args=args, keywords=keywords) if last_name(node.func)[:1].islower():
            for one in (*args, *(keyword.value for keyword in keywords)):
                yield from _parts(one)
        case _:
            yield node


def _uses_session(task: Task) -> bool:
    """Return whether a method works with a session that its object holds, as far as is known."""
    if task.function is None:
        return True
    called = (found for one in reach(task.function) if (found := callee(one)) is not None)
    return any(_touches_session(one) for one in (task.function, *called))


@remembered
def _touches_session(function: Function) -> bool:
    return any(
        isinstance(node, ast.Attribute) and names.is_a(names.resolve(node, function), *_SESSIONS)
        for part in function.node.body
        for node in ast.walk(part)
    )


def _is_session(node: ast.expr, function: Function) -> bool:
    """Return whether an expression is a session, or something of the request that has one."""
    ref = names.resolve(node, function)
    if isinstance(node, ast.Name) and is_always_none(node.id, function):
        return False
    if names.is_a(ref, *_SESSIONS):
        return ref is not None and ref.is_instance and bool(dotted(node))
    if ref is None or not _has_session(ref, frozenset()):
        return False
    return _need(node, function) is not None or _made_with_session(node, function)


def _made_with_session(node: ast.expr, function: Function) -> bool:
    """Return whether an object was made here, and given a session: `Loans(session)`."""
    if isinstance(node, ast.Name) and function.param(node.id) is None:
        made = [one for one in function.names.get(node.id, ()) if isinstance(one, Assigned)]
        node = made[0].value if made and made[0].value is not None else node
    if not isinstance(node, ast.Call):
        return False
    given = (*node.args, *(keyword.value for keyword in node.keywords))
    return any(_is_session(one, function) for one in given)


def _has_session(ref: Ref, seen: frozenset[str]) -> bool:
    """Return whether an object keeps a session, or another object that does."""
    if ref.cls is None or not ref.is_instance or ref.name in seen:
        return False
    held = [
        found
        for base in names.bases(ref.cls)
        if base.cls is not None
        for name in {*base.cls.attributes, *base.cls.names}
        if (found := names.member(ref, name)) is not None and found.is_instance
    ]
    if any(names.is_a(one, *_SESSIONS) for one in held):
        return True
    return any(_has_session(one, seen | {ref.name}) for one in held)


def _need(node: ast.expr, function: Function) -> Need | None:
    """Return the `Depends` that an expression comes from."""
    name = last_name(root(node))
    return next(
        (need for need in needs_of(function) if need.param is not None and need.param.name == name),
        None,
    )


def _closed(node: ast.expr, function: Function) -> str:
    """Return why the session is closed when the task runs; nothing where it is open."""
    need = _need(node, function)
    if need is not None and any(
        keyword.arg == "scope" and getattr(keyword.value, "value", "") == "function"
        for keyword in need.call.keywords
    ):
        return 'scope="function"'
    pin = _pin(function)
    if pin is not None and _CLOSED[0] <= pin.version < _CLOSED[1]:
        return pin.source
    return ""


def _pin(function: Function) -> Pin | None:
    root = function.module.codebase.root
    return pin_of(root, service_root(root, function.module.path), "fastapi")


def _message(task: Task, node: ast.expr, closed: str, ref: Ref | None) -> str:
    name = written(node)
    if closed and ref is not None and names.is_a(ref, *_BARE):
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
"""The rule."""

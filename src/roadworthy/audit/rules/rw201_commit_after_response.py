"""RW201: the client has its answer before the commit is tried."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.fastapi.dependencies import Dependency, needs_of
from roadworthy.audit.fastapi.endings import Ending, ending
from roadworthy.audit.model.finding import Confidence, Severity
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source import names
from roadworthy.audit.source.flow import Call
from roadworthy.audit.source.module import Function

__all__ = ["RULE"]


def _check(dependency: Dependency) -> Iterator[Hit]:
    function = dependency.function
    if not function.is_generator or dependency.scope == "function":
        return
    ends = ending(function.module)
    for node in _commits(function):
        yield Hit(
            place=function.place(node),
            message=_message(ends),
            confidence=Confidence.HIGH if ends.known else Confidence.MEDIUM,
            fixable=ends.has_scopes and not _is_needed_longer(function),
            since=ends.since,
        )


def _is_needed_longer(function: Function) -> bool:
    """Return whether another dependency with `yield` needs it, and would have to end earlier."""
    codebase = function.module.codebase
    modules = map(
        codebase.module,
        codebase.mentioning(function.name.encode(), rb"Depends\(", near=function.module.path),
    )
    return any(
        need.dependency is not None and need.dependency.function is function
        for module in modules
        if module is not None
        for one in module.functions
        if one.is_generator
        for need in needs_of(one)
    )


def _commits(function: Function, hops: int = 1) -> Iterator[ast.AST]:
    """Return what commits when a generator goes on after its yield."""
    for call in function.flow.calls:
        if _is_commit(call) and _after_yield(call, function):
            yield call.node
    for event in function.flow.yields:
        for block in event.blocks("with"):
            if isinstance(block.node, ast.With | ast.AsyncWith):
                for item in block.node.items:
                    if _commits_at_exit(item.context_expr, function, hops):
                        yield item.context_expr


def _commits_at_exit(context: ast.expr, function: Function, hops: int) -> bool:
    """`async with sessions.begin() as session`, or a context manager that commits itself."""
    if not isinstance(context, ast.Call) or not isinstance(context.func, ast.Name | ast.Attribute):
        return False
    called = names.resolve(context.func, function)
    if called is not None and called.function is not None:
        return hops > 0 and any(_commits(called.function, hops - 1))
    return called is not None and called.name in _TRANSACTIONS


_TRANSACTIONS: Final = frozenset(
    {
        *("sqlalchemy.orm.Session.begin", "sqlalchemy.ext.asyncio.AsyncSession.begin"),
        *("sqlalchemy.orm.sessionmaker.begin", "sqlalchemy.ext.asyncio.async_sessionmaker.begin"),
        *("sqlalchemy.Engine.begin", "sqlalchemy.ext.asyncio.AsyncEngine.begin"),
        *("asyncpg.Connection.transaction", "psycopg.AsyncConnection.transaction"),
        "psycopg.Connection.transaction",
    }
)
"""Context managers that commit when they are left."""


def _message(ends: Ending) -> str:
    return (
        "The client has its 2xx, then this commit is tried: where it fails, an acknowledged "
        f"write is lost, and a next request may not see it yet ({ends.said})."
    )


def _is_commit(call: Call) -> bool:
    func = call.node.func
    return isinstance(func, ast.Attribute) and func.attr == "commit"


def _after_yield(call: Call, function: Function) -> bool:
    """Return whether a call runs only when the route has ended well."""
    first = min((one.statement.lineno for one in function.flow.yields), default=10**9)
    return call.node.lineno > first and not any(call.blocks("handler"))


_BAD = Example("""
from fastapi import Depends, FastAPI
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

app = FastAPI()
sessions = async_sessionmaker(create_async_engine("sqlite+aiosqlite:///shop.db"))

async def get_session():
    async with sessions() as session:
        yield session
        await session.commit()  # found

@app.post("/orders")
async def add_order(session: AsyncSession = Depends(get_session)):
    return {"status": "created"}
""")

_BAD_BEGIN = Example("""
from contextlib import asynccontextmanager
from fastapi import Depends, FastAPI
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

app = FastAPI()
sessions = async_sessionmaker(create_async_engine("sqlite+aiosqlite:///shop.db"))

async def get_session():
    async with sessions.begin() as session:  # found
        yield session

@asynccontextmanager
async def unit():
    async with sessions() as session:
        yield session
        await session.commit()

async def get_unit():
    async with unit() as session:  # found
        yield session

@app.post("/orders")
async def add_order(session=Depends(get_session), other=Depends(get_unit)):
    return {"status": "created"}
""")

_GOOD = Example("""
from typing import Annotated
from fastapi import Depends, FastAPI
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

app = FastAPI()
sessions = async_sessionmaker(create_async_engine("sqlite+aiosqlite:///shop.db"))

async def get_session():
    async with sessions() as session:
        yield session
        await session.commit()

@app.post("/orders")
async def add_order(session: Annotated[AsyncSession, Depends(get_session, scope="function")]):
    return {"status": "created"}
""")

RULE: Final = Rule(
    code="RW201",
    name="commit-after-response",
    severity=Severity.HIGH,
    looks="dependency",
    check=_check,
    summary="A dependency commits after `yield`, when the answer has been sent.",
    why="""Code after `yield` of a dependency runs after the whole answer was sent (FastAPI
before 0.106 and from 0.118 on). A commit there that fails, for a deferred constraint or a
connection that is gone, fails behind the client's back: it has its 201, and the row is
not there. A client that reads at once what it wrote may not find it.""",
    mend='Depends(get_session, scope="function") (FastAPI 0.121), or commit in the route.',
    ours="`Tx`, and `SyncTx` of `def` routes, in `roadworthy.database` commit before the first "
    "byte.",
    bad=(_BAD, _BAD_BEGIN),
    good=(_GOOD,),
)
"""Finds dependencies that commit after the answer has been sent."""

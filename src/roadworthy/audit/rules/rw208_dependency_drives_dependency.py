"""RW208: a dependency runs another one by hand, and its clean-up gets lost."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.fastapi.dependencies import Dependency
from roadworthy.audit.model.finding import Severity
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source import names
from roadworthy.audit.source.module import Assigned, Function
from roadworthy.audit.source.nodes import last_name, mentions

__all__ = ["RULE"]

_STEPS: Final = frozenset({"__next__", "__anext__", "send", "asend"})
_NEXT: Final = frozenset({"builtins.next", "builtins.anext"})
_ENDS: Final = frozenset({"close", "aclose", "athrow", "throw"})
_FLAT: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def _check(dependency: Dependency) -> Iterator[Hit]:
    function = dependency.function
    for node in _nodes(function.node.body):
        driven = _driven(node, function)
        other = None if driven is None else _borrowed(driven, function)
        if driven is not None and other is not None and not _ends_it(driven, function):
            yield Hit(place=function.place(driven), message=_message(function, other))


def _nodes(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the nodes of a function's own body, without those of functions inside."""
    waiting: list[ast.AST] = [*reversed(body)]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, _FLAT):
            waiting += reversed(list(ast.iter_child_nodes(node)))


def _driven(node: ast.AST, function: Function) -> ast.expr | None:
    """Return what is run step by step: by a loop that is left within, or by `next`."""
    match node:
        case ast.For(iter=given, body=body) | ast.AsyncFor(iter=given, body=body):
            return given if _is_left(body) else None
        case ast.Call(func=ast.Attribute(value=given, attr=attr)) if attr in _STEPS:
            return given
        case ast.Call(func=func, args=[given, *_]):
            found = names.resolve(func, function)
            return given if found is not None and found.name in _NEXT else None
        case _:
            return None


def _is_left(body: list[ast.stmt]) -> bool:
    """Return whether a loop hands on what it has before it goes on: its end may never come."""
    leaves = (ast.Yield, ast.YieldFrom, ast.Return, ast.Break)
    return any(isinstance(node, leaves) for node in _nodes(body))


def _borrowed(driven: ast.expr, function: Function) -> Function | None:
    """Return the generator that lends something and cleans up behind it."""
    call = _made(driven, function)
    found = None if call is None else names.resolve(call.func, function)
    other = None if found is None else found.function
    if other is None or not other.is_generator or other.node.decorator_list:
        return None
    return other if _cleans_up(other) else None


def _made(driven: ast.expr, function: Function) -> ast.Call | None:
    if isinstance(driven, ast.Call):
        inner = driven.func  # `get_session().__aiter__()`
        if isinstance(inner, ast.Attribute) and inner.attr in {"__aiter__", "__iter__"}:
            return _made(inner.value, function)
        if last_name(inner) in {"aiter", "iter"} and driven.args:
            return _made(driven.args[0], function)
        return driven
    given = function.names.get(driven.id, ()) if isinstance(driven, ast.Name) else ()
    values = [one.value for one in given if isinstance(one, Assigned)]
    return values[0] if len(values) == 1 and isinstance(values[0], ast.Call) else None


def _cleans_up(function: Function) -> bool:
    """Return whether something is to happen after its only `yield`."""
    if any(any(event.blocks("loop")) for event in function.flow.yields):
        return False
    last = max(one.statement.lineno for one in function.flow.yields)
    around = any(any(one.blocks("try", "with")) for one in function.flow.yields)
    return around or any(call.node.lineno > last for call in function.flow.calls)


def _ends_it(driven: ast.expr, function: Function) -> bool:
    """Return whether the function itself ends what it keeps in a variable."""
    if not isinstance(driven, ast.Name):
        return False
    closed = any(
        isinstance(call.node.func, ast.Attribute)
        and call.node.func.attr in _ENDS
        and mentions(call.node.func.value, driven.id)
        for call in function.flow.calls
    )
    return closed or any(
        mentions(item.context_expr, driven.id)
        for event in function.flow.withs
        if isinstance(event.node, ast.With | ast.AsyncWith)
        for item in event.node.items
    )


def _message(function: Function, other: Function) -> str:
    return (
        f"{function.name}() runs {other.name}() by hand: an error of the route is raised here and "
        f"not there, so {other.name}() does not roll back, and it ends when the garbage collector "
        "finds it."
    )


_TOP = """
from contextlib import aclosing, asynccontextmanager
from fastapi import Depends, FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

app = FastAPI()
sessions = async_sessionmaker(create_async_engine("postgresql+asyncpg:///shop"))

async def get_session():
    async with sessions() as session:
        yield session
"""

_BAD = Example(
    _TOP
    + """
async def get_reader():
    async for session in get_session():  # found
        yield session

async def get_title() -> str:
    session = await anext(get_session())  # found
    return (await session.execute(text("select title from shop"))).scalar_one()

@app.get("/books")
async def books(session=Depends(get_reader), title: str = Depends(get_title)):
    return {title: (await session.execute(text("select 1"))).scalar_one()}
"""
)

_GOOD = Example(
    _TOP
    + """
async def get_reader(session: AsyncSession = Depends(get_session)):
    yield session

async def get_writer():
    async with asynccontextmanager(get_session)() as session:
        yield session

async def get_title() -> str:
    async for session in get_session():
        title = (await session.execute(text("select title from shop"))).scalar_one()
    return title

async def get_number():
    async with aclosing(get_session()) as lent:
        session = await anext(lent)
        yield (await session.execute(text("select 1"))).scalar_one()

async def numbers():
    for number in range(3):
        yield number

async def first_number() -> int:
    async for number in numbers():
        return number

@app.get("/books")
async def books(
    a=Depends(get_reader), b=Depends(get_writer), c=Depends(get_title), d=Depends(first_number),
):
    return {c: (await a.execute(text("select 1"))).scalar_one() + d}
""",
    "Asked for by FastAPI, entered as a context, read to its end, or nothing to clean up.",
)

RULE: Final = Rule(
    code="RW208",
    name="dependency-drives-dependency",
    severity=Severity.MEDIUM,
    looks="dependency",
    check=_check,
    summary="A dependency takes what another one yields by a loop or `next`.",
    why="""FastAPI throws the error of a route into the dependency that it asked for. Where that one
loops over another generator, the error arrives in the loop and leaves it: the other generator is
not told, its `except` and its `rollback` do not run, and its `finally` runs when the garbage
collector comes by. Until then its session keeps a connection.""",
    mend="Take it as a parameter, `session=Depends(get_session)`, and do not run it by hand.",
    ours="""`Tx` and `Read` of `roadworthy.database`, `SyncTx` and `SyncRead` in a `def`, are asked
for by Depends, also by others.""",
    bad=(_BAD,),
    good=(_GOOD,),
)
"""Finds dependencies that iterate over another dependency by hand."""

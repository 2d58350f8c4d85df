"""RW207: a session of the request is kept until the last byte of a stream."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.analyses.held_sessions import held_until_sent, leaves_open
from roadworthy.audit.dataflow.reach import arguments
from roadworthy.audit.fastapi.dependencies import Dependency
from roadworthy.audit.fastapi.endings import ending
from roadworthy.audit.fastapi.routes import Route
from roadworthy.audit.fastapi.streams import maker_of, streams_of
from roadworthy.audit.model.finding import Confidence, Severity
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source.module import Assigned, Function
from roadworthy.audit.source.nodes import mentions, root, walk

__all__ = ["RULE"]


_DEEPEST: Final = 2
"""Helpers that make an answer by asking others for it."""
_LAZY: Final = frozenset({"stream", "stream_scalars", "yield_per", "partitions", "cursor"})
"""Methods whose rows are fetched while the answer is sent."""


def _check(route: Route) -> Iterator[Hit]:
    if route.methods == frozenset({"HEAD"}):  # its answer has no body to wait for
        return
    held = [one for one in held_until_sent(route) if not _is_streamed(one, route)]
    if not held:
        return
    ends = ending(route.module)
    for node, _ in streams_of(route):
        yield Hit(
            place=route.function.place(node),
            message=_message(held[0], ends.said),
            confidence=Confidence.HIGH if ends.known else Confidence.MEDIUM,
            since=ends.since,
        )


def _is_streamed(dependency: Dependency, route: Route) -> bool:
    """Return whether the stream itself reads from the session: that is another question."""
    lent = {
        need.param.name
        for need in route.needs
        if need.param is not None
        and need.dependency is not None
        and need.dependency.key == dependency.key
    }
    answers = [value for _, value in streams_of(route) if value is not None]
    return _streams(route.function, lent, answers)


def _streams(
    function: Function, lent: set[str], answers: list[ast.expr], depth: int = _DEEPEST
) -> bool:
    """Return whether what a function answers with asks a session for more, or it is let go."""
    inner = [statement for one in function.inner for statement in one.node.body]
    if function.is_generator:
        inner += function.node.body
    parts = [part for value in answers for part in _parts(value, function)]
    if any(_hands_on(part, name) for part in inner for name in lent):
        return True
    helped = [(value, maker) for value in answers if (maker := maker_of(value, function))]
    own = {id(value) for value, _ in helped}
    if any(_hands_on(one, name) for one in parts if id(one) not in own for name in lent):
        return True
    return any(_helper_streams(value, maker, lent, depth) for value, maker in helped)


def _helper_streams(value: ast.expr, maker: Function, lent: set[str], depth: int) -> bool:
    call = value.value if isinstance(value, ast.Await) else value
    given = arguments(call, maker).items() if isinstance(call, ast.Call) else ()
    taken = {name for name, one in given if any(mentions(one, each) for each in lent)}
    if not (taken and depth) or any(leaves_open(maker, name) is False for name in taken):
        return bool(taken)
    answers = [getattr(event.node, "value", None) for event in maker.flow.returns]
    return _streams(maker, taken, [one for one in answers if one is not None], depth - 1)


def _hands_on(part: ast.AST, name: str) -> bool:
    """Return whether code has the session itself, and not only what it was asked for before."""
    return mentions(part, name) and not (isinstance(part, ast.Call) and _is_asked(part, name))


def _is_asked(call: ast.Call, name: str) -> bool:
    """Return whether a call ends a question to the session: `(await s.execute(q)).first()`."""
    start = root(call)
    names = {one.attr for one in walk(call) if isinstance(one, ast.Attribute)}
    asked = isinstance(start, ast.Name) and start.id == name
    return asked and names.isdisjoint(_LAZY)


def _parts(value: ast.expr, function: Function) -> Iterator[ast.AST]:
    """Yield what an answer is made of, also where it was kept in a variable."""
    yield value
    for node in walk(value):
        if isinstance(node, ast.Name):
            for one in function.names.get(node.id, ()):
                if isinstance(one, Assigned) and isinstance(one.value, ast.Call):
                    yield from one.value.args if _is_answer(node, value) else (one.value,)


def _is_answer(node: ast.Name, value: ast.expr) -> bool:
    return node is value


def _message(dependency: Dependency, version: str) -> str:
    return (
        f"The session of {dependency.function.name}() keeps its connection until the client has "
        "read the last byte: as many slow or idle clients as the pool has connections, and no "
        f"other request gets one ({version})."
    )


_TOP = """
import asyncio
from typing import Annotated
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import FileResponse, StreamingResponse
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

app = FastAPI()
sessions = async_sessionmaker(create_async_engine("postgresql+asyncpg:///shop"))

async def get_session():
    async with sessions() as session:
        yield session

async def ticks():
    while True:
        yield "data: tick\\n\\n"
        await asyncio.sleep(1)

async def find(session: AsyncSession, number: int):
    return await session.execute(text("select 1 from films where id = :id"), {"id": number})
"""

_EVENTS = Example(
    _TOP
    + """
@app.get("/events")
async def events(session: Annotated[AsyncSession, Depends(get_session)]):
    await session.execute(text("select 1"))
    return StreamingResponse(ticks(), media_type="text/event-stream")  # found
""",
    "One question at the start, and a connection for as long as somebody listens.",
)

_FILE = Example(
    _TOP
    + """
async def allowed(number: int, session: AsyncSession = Depends(get_session)):
    if (await find(session, number)).first() is None:
        raise HTTPException(404)

@app.get("/films/{number}", dependencies=[Depends(allowed)])
async def film(number: int):
    return FileResponse(f"/srv/films/{number}.mp4")  # found
""",
    "The session is a dependency's, and ends with the request all the same.",
)

_GOOD = Example(
    _TOP
    + """
@app.get("/events")
async def events(session: Annotated[AsyncSession, Depends(get_session, scope="function")]):
    await session.execute(text("select 1"))
    return StreamingResponse(ticks(), media_type="text/event-stream")

@app.get("/films/{number}")
async def film(number: int):
    async with sessions() as session:
        if (await find(session, number)).first() is None:
            raise HTTPException(404)
    return FileResponse(f"/srv/films/{number}.mp4")

@app.get("/trailers/{number}")
async def trailer(number: int, session: Annotated[AsyncSession, Depends(get_session)]):
    await find(session, number)
    await session.close()
    return FileResponse(f"/srv/trailers/{number}.mp4")

@app.get("/count")
async def count(session: Annotated[AsyncSession, Depends(get_session)]):
    return (await session.execute(text("select count(*) from films"))).scalar_one()
"""
)

RULE: Final = Rule(
    code="RW207",
    name="session-held-through-stream",
    severity=Severity.MEDIUM,
    looks="route",
    check=_check,
    summary="A session of the request is kept while a stream or a file is sent.",
    why="""A dependency with `yield` ends when the whole answer has been sent (FastAPI before
0.106 and from 0.118 on). Its session holds a connection from its first question until then. A
stream of events is sent for hours, a file as slowly as its client reads: with a pool of five and
five idle listeners, every other request waits for a connection and then fails. Sessions that the
stream itself reads from are not reported.""",
    mend='Depends(get_session, scope="function"), or close the session before the answer.',
    ours="""`Tx` and `Read` of `roadworthy.database`, `SyncTx` and `SyncRead` of `def` routes, end
before the first byte; a stream of `roadworthy.events` needs none.""",
    bad=(_EVENTS, _FILE),
    good=(_GOOD,),
)
"""Finds sessions that are held as long as a stream or a file is sent."""

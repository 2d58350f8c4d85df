"""RW206: a stream uses a session that was closed before its first byte."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.fastapi.routes import Route
from roadworthy.audit.model.finding import Severity
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source.module import Function
from roadworthy.audit.source.nodes import walk

__all__ = ["RULE"]


def _check(route: Route) -> Iterator[Hit]:
    closed = _closed_early(route)
    if not closed:
        return
    streams = [one for one in route.function.inner if one.is_generator]
    if route.function.is_generator:
        streams.append(route.function)
    for stream in streams:
        use = _first_use(stream, closed)
        if use is not None:
            yield Hit(place=stream.place(use), message=_message(use.id))


def _closed_early(route: Route) -> set[str]:
    """Return the parameters whose dependency ends when the route returns."""
    return {
        need.param.name
        for need in route.needs
        if need.param is not None
        and need.dependency is not None
        and need.dependency.scope == "function"
        and need.dependency.function.is_generator
    }


def _first_use(stream: Function, closed: set[str]) -> ast.Name | None:
    for statement in stream.node.body:
        for node in walk(statement):
            if isinstance(node, ast.Name) and node.id in closed:
                return node
    return None


def _message(name: str) -> str:
    return (
        f'`{name}` has scope="function": it is closed when the route returns, before the stream '
        "runs. Each stream that uses it then takes a connection that nobody gives back."
    )


_TOP = """
from typing import Annotated
from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker

app = FastAPI()
sessions = sessionmaker(create_engine("sqlite:///shop.db"))

def get_session():
    with sessions() as session:
        yield session
"""

_BAD = Example(
    _TOP
    + """
@app.get("/ledger")
def ledger(session: Annotated[Session, Depends(get_session, scope="function")]):
    def rows():
        for row in session.execute(text("select * from ledger")):  # found
            yield f"{row}\\\\n"
    return StreamingResponse(rows())
"""
)

_GOOD = Example(
    _TOP
    + """
@app.get("/ledger")
def ledger(session: Annotated[Session, Depends(get_session, scope="function")]):
    title = session.execute(text("select title from shop")).scalar_one()
    def rows():
        with sessions() as own:
            for row in own.execute(text("select * from ledger")):
                yield f"{title} {row}\\\\n"
    return StreamingResponse(rows())
"""
)

RULE: Final = Rule(
    code="RW206",
    name="closed-session-in-stream",
    severity=Severity.MEDIUM,
    looks="route",
    check=_check,
    summary="A stream uses a session that its dependency has closed before.",
    why="""A dependency with `scope="function"` ends when the route returns. A stream runs after
that. SQLAlchemy lets a closed session begin again, with a new connection, and nobody closes it a
second time: every completed stream keeps one connection for good, until the pool is empty.""",
    mend="Open a session inside the stream: `with sessions() as session: …`.",
    ours="`Database` of `roadworthy.database` has short units for streams; a closed one raises.",
    bad=(_BAD,),
    good=(_GOOD,),
)
"""Finds streams that use a session after its dependency has closed it."""

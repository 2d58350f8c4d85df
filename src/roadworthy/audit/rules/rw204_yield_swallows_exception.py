"""RW204: a dependency catches what the route raised, and does not raise it again."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.dataflow import caught
from roadworthy.audit.fastapi.dependencies import Dependency
from roadworthy.audit.model.finding import Confidence, Severity
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source import names
from roadworthy.audit.source.flow import Event
from roadworthy.audit.source.module import Function
from roadworthy.audit.source.nodes import walk, written

__all__ = ["RULE"]

_BROAD: Final = frozenset({"builtins.Exception", "builtins.BaseException"})


def _check(dependency: Dependency) -> Iterator[Hit]:
    function = dependency.function
    for event in function.flow.yields:
        for tried in event.tries():
            for handler in tried.handlers:
                if not _raises(handler) and not _only_stops(handler, function):
                    yield Hit(
                        place=function.place(handler),
                        message=_message(handler),
                        confidence=_confidence(handler, function, event),
                    )


def _raises(handler: ast.ExceptHandler) -> bool:
    return any(isinstance(node, ast.Raise) for one in handler.body for node in walk(one))


def _only_stops(handler: ast.ExceptHandler, function: Function) -> bool:
    """Return whether it catches what only says that a generator is to end."""
    kinds = caught.types(handler, function) if handler.type is not None else ()
    return any(one is not None and one.name in _ENDS for one in kinds)


_ENDS: Final = frozenset(
    {
        *("builtins.GeneratorExit", "builtins.StopAsyncIteration", "asyncio.CancelledError"),
        *("concurrent.futures.CancelledError", "asyncio.exceptions.CancelledError"),
    }
)


def _confidence(handler: ast.ExceptHandler, function: Function, event: Event) -> Confidence:
    if any(block.kind == "loop" for block in event.blocks()):
        return Confidence.LOW
    kind = handler.type
    parts = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    broad = kind is None or any(_is_broad(part, function) for part in parts if part is not None)
    return Confidence.HIGH if broad else Confidence.MEDIUM


def _is_broad(node: ast.expr, function: Function) -> bool:
    found = names.resolve(node, function)
    return found is not None and found.name in _BROAD


def _message(handler: ast.ExceptHandler) -> str:
    what = "Every exception" if handler.type is None else f"A {written(handler.type)}"
    return (
        f"{what} of the route ends here: its 404 or 409 becomes a 500, and nobody is told "
        "what went wrong (FastAPI: 'the dependency caught an exception and did not raise it')."
    )


_APP = """
from fastapi import Depends, FastAPI
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker

app = FastAPI()
sessions = sessionmaker(create_engine("sqlite:///shop.db"))
"""
_ROUTE = """
@app.get("/orders")
def orders(session: Session = Depends(get_session)):
    return []
"""

_BAD = Example(
    _APP
    + """
def get_session():
    session = sessions()
    try:
        yield session
    except Exception:  # found
        session.rollback()
    finally:
        session.close()
"""
    + _ROUTE.replace("# found", "")
)

_GOOD = Example(
    _APP
    + """
def get_session():
    session = sessions()
    try:
        yield session
    except Exception:
        session.rollback()
        raise
    finally:
        session.close()
"""
    + _ROUTE
)

RULE: Final = Rule(
    code="RW204",
    name="yield-swallows-exception",
    severity=Severity.LOW,
    looks="dependency",
    check=_check,
    summary="A dependency catches the exceptions of the route and does not raise them again.",
    why="""What a route raises is raised at the `yield` of its dependencies. One that catches it
and ends leaves FastAPI without an answer and without the exception: the client gets a 500 for
every error, also for a 404, and the cause is lost.""",
    mend="End the `except` with `raise`.",
    ours="""`Tx` of `roadworthy.database`, and `SyncTx` of `def` routes, roll back and let every
exception through.""",
    bad=(_BAD,),
    good=(_GOOD,),
)
"""Finds dependencies that swallow the exceptions of routes."""

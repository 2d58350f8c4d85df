"""RW203: what a dependency opens stays open where the route raises."""

# pyright: reportUnnecessaryIsInstance=false

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.fastapi import resources
from roadworthy.audit.fastapi.dependencies import Dependency
from roadworthy.audit.model.finding import Severity
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source.flow import Event
from roadworthy.audit.source.nodes import mentions, root, walk

__all__ = ["RULE"]


def _check(dependency: Dependency) -> Iterator[Hit]:
    function = dependency.function
    made = resources.opened(function)
    for event in function.flow.yields:
        name = _yielded(event)
        if name is None or name not in made or _is_protected(event, name):
            continue
        later = [one for one in resources.releases(function, name) if _is_after(one, event)]
        if later or resources.is_closeable(made[name].ref):
            yield Hit(place=function.place(event.node), message=_message(name, bool(later)))


def _yielded(event: Event) -> str | None:
    match event.node:
        case ast.Yield(value=ast.Name(id=name)):
            return name
        case _:
            return None


def _is_protected(event: Event, name: str) -> bool:
    """Return whether what is yielded is closed also where the route raises."""
    for block in event.blocks("try", "with"):
        match block.node:
            case ast.Try(finalbody=final, handlers=handlers):
                if final or any(_closes(handler.body, name) for handler in handlers):
                    return True
            case ast.With(items=items) | ast.AsyncWith(items=items):
                if any(_has(item.context_expr, name) for item in items):
                    return True
            case _:
                pass
    return False


def _has(manager: ast.expr, name: str) -> bool:
    """Return whether a context manager is what a name stands for, gets it or is of it."""
    if not isinstance(manager, ast.Call):
        return mentions(root(manager), name)
    given = [*manager.args, *(keyword.value for keyword in manager.keywords)]
    is_given = any(isinstance(one, ast.Name) and one.id == name for one in given)
    return is_given or (isinstance(manager.func, ast.Attribute) and mentions(root(manager), name))


def _closes(body: list[ast.stmt], name: str) -> bool:
    return any(
        isinstance(node, ast.Attribute) and node.attr in resources.RELEASES
        for one in body
        for node in walk(one)
        if isinstance(node, ast.Attribute) and mentions(root(node), name)
    )


def _is_after(release: Event, event: Event) -> bool:
    return release.statement.lineno > event.statement.lineno


def _message(name: str, later: bool) -> str:
    if later:
        return (
            f"Where the route raises, the code after this yield does not run: `{name}` stays "
            "open, and each failing request keeps a connection from the next ones."
        )
    return f"Nothing closes `{name}` after the request: its connection is kept from the next ones."


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
    yield session  # found
    session.close()
"""
    + _ROUTE
)

_BAD_NEVER = Example(
    _APP
    + """
def get_session():
    session = sessions()
    yield session  # found
"""
    + _ROUTE
)

_GOOD = Example(
    _APP
    + """
def get_session():
    session = sessions()
    try:
        yield session
    finally:
        session.close()

class Store:
    def __init__(self, session): ...

def get_store(session: Session = Depends(get_session)):
    store = Store(session)
    yield store

@app.get("/orders")
def orders(store: Store = Depends(get_store)):
    return []
"""
)

RULE: Final = Rule(
    code="RW203",
    name="yield-without-cleanup",
    severity=Severity.MEDIUM,
    looks="dependency",
    check=_check,
    summary="A dependency yields what it opened with no `finally` or `with` around.",
    why="""An exception in the route, also an `HTTPException`, is raised at the `yield` of its
dependencies. Without `try` and `finally`, or `with`, the lines after it do not run, and what
was opened stays open: as many failing requests as the pool has connections stop the service.""",
    mend="Put the yield into `try: … finally: session.close()`, or into `with`.",
    ours="""`Tx` and `Read` of `roadworthy.database`, `SyncTx` and `SyncRead` of `def` routes, close
on every way out.""",
    bad=(_BAD, _BAD_NEVER),
    good=(_GOOD,),
)
"""Finds dependencies that leave a resource open where the route raises."""

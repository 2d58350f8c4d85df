"""RW202: a dependency opens something and returns it, so nobody closes it."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit import names, resources
from roadworthy.audit.dependencies import Dependency
from roadworthy.audit.finding import Severity
from roadworthy.audit.rule import Example, Hit, Rule

__all__ = ["RULE"]


def _check(dependency: Dependency) -> Iterator[Hit]:
    function = dependency.function
    if function.is_generator or function.name == "__init__" or resources.is_cached(function):
        return
    made = resources.opened(function)
    for event in function.flow.returns:
        value = event.node.value if isinstance(event.node, ast.Return) else None
        match value:
            case ast.Name(id=name) if name in made:
                ref = made[name].ref
                closed = any(resources.releases(function, name))
            case ast.Call() | ast.Await(value=ast.Call()):
                ref, closed = names.resolve(value, function), False
                if not _opens(value, dependency):
                    continue
            case _:
                continue
        if resources.is_closeable(ref) and not closed and ref is not None:
            yield Hit(place=function.place(event.node), message=_message(ref.name))


def _opens(value: ast.expr, dependency: Dependency) -> bool:
    """Return whether a call makes something, rather than hands out what is there."""
    call = value.value if isinstance(value, ast.Await) else value
    function = dependency.function
    called = names.resolve(call.func, function) if isinstance(call, ast.Call) else None
    return called is not None and (called.function is None or called.is_instance)


def _message(name: str) -> str:
    kind = name.rpartition(".")[2]
    return (
        f"Every request opens a {kind} that nothing closes: connections stay open until the "
        "garbage collector finds them, and under load the pool is empty."
    )


_BAD = Example("""
from fastapi import Depends, FastAPI
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker

app = FastAPI()
sessions = sessionmaker(create_engine("sqlite:///shop.db"))

def get_session() -> Session:
    return sessions()  # found

@app.get("/orders")
def orders(session: Session = Depends(get_session)):
    return []
""")

_BAD_CLIENT = Example("""
import requests
from fastapi import Depends, FastAPI

app = FastAPI()

def get_client():
    client = requests.Session()
    client.headers["X-Shop"] = "1"
    return client  # found

@app.get("/rates")
def rates(client: requests.Session = Depends(get_client)):
    return client.get("https://rates.example", timeout=5).json()
""")

_GOOD = Example("""
from fastapi import Depends, FastAPI, Request
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker

app = FastAPI()
sessions = sessionmaker(create_engine("sqlite:///shop.db"))

def get_session():
    with sessions() as session:
        yield session

def get_basket(request: Request):
    return request.session

@app.get("/orders")
def orders(session: Session = Depends(get_session), basket=Depends(get_basket)):
    return []
""")

RULE: Final = Rule(
    code="RW202",
    name="session-returned-not-yielded",
    severity=Severity.MEDIUM,
    looks="dependency",
    check=_check,
    summary="A dependency returns a session or client that it has opened; nothing closes it.",
    why="""A dependency that returns has no code after the request. The session it opened keeps
its connection, and with an error in the route also its transaction and its locks, until
the garbage collector happens to find it.""",
    mend="Yield it inside `with`: `with sessions() as session: yield session`.",
    ours="`Tx` and `Read` of `roadworthy.database` open and close sessions for routes.",
    bad=(_BAD, _BAD_CLIENT),
    good=(_GOOD,),
)
"""The rule."""

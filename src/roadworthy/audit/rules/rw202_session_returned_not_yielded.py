"""RW202: a dependency opens something and returns it, so nobody closes it."""

import ast
import re
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.fastapi import resources
from roadworthy.audit.fastapi.dependencies import Dependency
from roadworthy.audit.model.finding import Confidence, Severity
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source import names
from roadworthy.audit.source.flow import Event
from roadworthy.audit.source.ref import Ref

__all__ = ["RULE"]


def _check(dependency: Dependency) -> Iterator[Hit]:
    function = dependency.function
    if function.is_generator or function.name == "__init__" or resources.is_cached(function):
        return
    for event in function.flow.returns:
        ref = _returned(event, dependency)
        if ref is None:
            continue
        place, message = function.place(event.node), _message(ref.name)
        if resources.is_closeable(ref):
            yield Hit(place=place, message=message)
        elif resources.may_be_closeable(ref, function):
            yield Hit(place=place, message=message, confidence=Confidence.MEDIUM)


def _returned(event: Event, dependency: Dependency) -> Ref | None:
    """Return what a function has opened, returns, and does not close."""
    function = dependency.function
    made = resources.opened(function)
    match event.node.value if isinstance(event.node, ast.Return) else None:
        case ast.Name(id=name) if name in made and not any(resources.releases(function, name)):
            return made[name].ref
        case ast.Call() | ast.Await(value=ast.Call()) as value if _opens(value, dependency):
            return names.resolve(value, function)
        case _:
            return None


def _opens(value: ast.expr, dependency: Dependency) -> bool:
    """Return whether a call makes something, rather than hands out what is there."""
    call = value.value if isinstance(value, ast.Await) else value
    function = dependency.function
    called = names.resolve(call.func, function) if isinstance(call, ast.Call) else None
    return called is not None and (called.function is None or called.is_instance)


def _message(name: str) -> str:
    kind = re.split(r"[.:]", name)[-1]
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

_BAD_OWN = Example("""
from fastapi import Depends, FastAPI

app = FastAPI()

class Warehouse:
    async def connect(self): ...
    async def close(self): ...

async def get_warehouse():
    warehouse = Warehouse()
    await warehouse.connect()
    return warehouse  # found

@app.get("/stock")
async def stock(warehouse: Warehouse = Depends(get_warehouse)):
    return []
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
    ours="`Tx` and `Read` of `roadworthy.database`, and `SyncTx` and `SyncRead` of `def` routes, "
    "open and close sessions.",
    bad=(_BAD, _BAD_CLIENT, _BAD_OWN),
    good=(_GOOD,),
)
"""Finds dependencies that return an open session or client, which nothing closes."""

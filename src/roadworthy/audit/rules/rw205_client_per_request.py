"""RW205: every request makes a client, with a pool of connections of its own."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.dataflow import reach
from roadworthy.audit.dataflow.reach import Reached
from roadworthy.audit.fastapi import resources
from roadworthy.audit.fastapi.routes import Route
from roadworthy.audit.model.finding import Confidence, Severity
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source import names
from roadworthy.audit.source.module import Function
from roadworthy.audit.source.nodes import is_none, last_name, same, walk, words
from roadworthy.audit.source.ref import Ref

__all__ = ["RULE"]

_MAKES_ENGINE: Final = {
    "sqlalchemy.create_engine": "sqlalchemy.Engine",
    "sqlalchemy.ext.asyncio.create_async_engine": "sqlalchemy.ext.asyncio.AsyncEngine",
}
_HOPS: Final = 2
_INSIDE: Final = rb"^[ \t]+.*create_(?:async_)?engine\("
"""An engine that is made inside something, mostly a function."""


def _check(route: Route) -> Iterator[Hit]:
    yield from _made_in(route.function, Confidence.LOW if _is_login(route) else Confidence.HIGH)
    yield from _factories(route.function)
    for dependency in route.dependencies:
        function = dependency.function
        if function.is_generator and not resources.is_cached(function):  # RW202 has the others
            yield from _made_in(function, Confidence.MEDIUM)
    yield from _engines(route)


_LOGIN: Final = frozenset(
    {"callback", "login", "logout", "oauth", "oauth2", "sso", "oidc", "saml", "authorize"}
)
"""Parts of paths of what a person does once a day: a client more costs nothing there."""


def _is_login(route: Route) -> bool:
    return any(not _LOGIN.isdisjoint(words(part)) for part in route.path.split("/"))


def _made_in(function: Function, confidence: Confidence) -> Iterator[Hit]:
    for one in reach.calls(function):
        made = _made(one)
        if made is not None and not _is_kept(one) and not _is_for_one_database(one):
            place = function.place(one.call.node)
            yield Hit(place=place, message=_message(made.name), confidence=confidence)


def _made(one: Reached) -> Ref | None:
    """Return the client that a call makes, where the call says so itself."""
    called = one.ref
    if called is None or called.entity is not None or called.is_instance:
        return None
    if called.name in _MAKES_ENGINE.values():  # `AsyncEngine(engine)` has the pool of that one
        return None
    made = names.resolve(one.call.node, one.scope)
    if made is None:
        return None
    if made.name.startswith("redis.") and _has_pool(one.call.node):
        return None
    if _stays_inside(one):
        return None
    return made if made.is_instance and made.name in resources.CLIENTS else None


def _has_pool(call: ast.Call) -> bool:
    return any(keyword.arg == "connection_pool" for keyword in call.keywords)


def _stays_inside(one: Reached) -> bool:
    """Return whether a client calls an application of this process, with no connection at all."""
    given = (word.value for word in one.call.node.keywords if word.arg in {"transport", "app"})
    found = (names.resolve(value, one.scope) for value in given)
    return any(ref is not None and ref.name in _INSIDE_PROCESS for ref in found)


_INSIDE_PROCESS: Final = frozenset(
    {
        *("httpx.ASGITransport", "httpx.WSGITransport", "httpx.MockTransport"),
        *("fastapi.FastAPI", "starlette.applications.Starlette"),
    }
)


def _factories(function: Function) -> Iterator[Hit]:
    """Return session factories made in a route whose sessions nobody closes there."""
    made = resources.opened(function)
    for name, opened in made.items():
        if opened.ref is None or opened.ref.name not in _FACTORIES:
            continue
        of_it = [
            one for one in made.values() if _calls(getattr(one.event.node, "value", None), name)
        ]
        if of_it and not any(any(resources.releases(function, one.name)) for one in of_it):
            place = function.place(opened.event.node)
            yield Hit(place=place, message=_LEAKS, confidence=Confidence.MEDIUM)


def _calls(value: ast.expr | None, name: str) -> bool:
    return isinstance(value, ast.Call) and last_name(value.func) == name


_FACTORIES: Final = frozenset(
    {"sqlalchemy.orm.sessionmaker", "sqlalchemy.ext.asyncio.async_sessionmaker"}
)
_LEAKS: Final = (
    "Every request makes a session factory of its own and opens a session that nothing closes: "
    "its connection is kept from the next requests until the garbage collector finds it."
)


def _is_kept(one: Reached) -> bool:
    """Return whether what is made is kept for later requests: `app.state.client = …`."""
    statement = one.call.statement
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    statements = [event.node for event in one.scope.flow.globals]
    globals_ = {name for node in statements if isinstance(node, ast.Global) for name in node.names}
    return any(
        isinstance(target, ast.Attribute | ast.Subscript)
        or (isinstance(target, ast.Name) and target.id in globals_)
        for target in targets
    )


def _is_for_one_database(one: Reached) -> bool:
    """Return whether an engine is for a database of its own, and closed: one of many files."""
    node, scope = one.call.node, one.scope
    statement = one.call.statement
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    if one.name not in _MAKES_ENGINE or len(targets) != 1 or not node.args:
        return False
    parts = [part.id for part in walk(node.args[0]) if isinstance(part, ast.Name)]
    varies = any(scope.param(name) is not None or name in scope.names for name in parts)
    return varies and any(
        isinstance(call.node.func, ast.Attribute)
        and call.node.func.attr == "dispose"
        and same(call.node.func.value, targets[0])
        for call in scope.flow.calls
    )


def _engines(route: Route) -> Iterator[Hit]:
    """Return calls in the route that lead to a new engine of a database."""
    module = route.function.module
    if not module.codebase.mentioning(b"engine(", _INSIDE, near=module.path):
        return
    if not reach.may_reach(route.function, _makes_engine, _HOPS):
        return
    for one in reach.reach(route.function, hops=_HOPS):
        if one.name not in _MAKES_ENGINE or not one.chain:
            continue
        if _is_kept(one) or _is_for_one_database(one):
            continue
        if not any(_is_once(step) for step in one.chain):
            made = _MAKES_ENGINE[one.name]
            first = one.chain[0]
            yield Hit(
                place=first.scope.place(first.call.node),
                message=_message(made),
                flow=reach.steps(one, route.title, route.function),
            )


def _makes_engine(one: Reached) -> bool:
    return one.name in _MAKES_ENGINE


def _is_once(step: Reached) -> bool:
    called = reach.callee(step)
    return called is not None and (resources.is_cached(called) or _tests_before(called))


def _tests_before(function: Function) -> bool:
    """Return whether a function first asks whether it has run: `if engine is None`."""
    return bool(function.flow.globals) or any(
        isinstance(compare.node, ast.Compare)
        and any(is_none(one) for one in (compare.node.left, *compare.node.comparators))
        for compare in function.flow.compares
    )


def _message(name: str) -> str:
    kind = name.rpartition(".")[2]
    if name in _MAKES_ENGINE.values():
        return (
            "Every request makes an engine with a pool of its own: connections to the database "
            "are opened anew, kept by nobody, and under load it refuses more."
        )
    return (
        f"Every request makes a {kind}: a new pool, and for each call a new connection and TLS "
        "handshake, where one client would keep them."
    )


_BAD = Example("""
import httpx
from fastapi import FastAPI

app = FastAPI()

@app.get("/rates")
async def rates():
    async with httpx.AsyncClient() as client:  # found
        answer = await client.get("https://rates.example")
    return answer.json()
""")

_BAD_ENGINE = Example("""
from fastapi import FastAPI
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

app = FastAPI()

def connect():
    engine = create_engine("postgresql://localhost/shop")
    return sessionmaker(engine)

@app.get("/orders")
def orders():
    sessions = connect()  # found
    with sessions() as session:
        return session.execute("select 1").all()
""")

_GOOD = Example("""
from contextlib import asynccontextmanager
from functools import lru_cache
import httpx
from fastapi import FastAPI, Request

@asynccontextmanager
async def lifespan(app):
    async with httpx.AsyncClient(timeout=5) as client:
        app.state.client = client
        yield

app = FastAPI(lifespan=lifespan)

@lru_cache
def get_client():
    return httpx.Client()

@app.get("/rates")
async def rates(request: Request):
    answer = await request.app.state.client.get("https://rates.example")
    return answer.json()
""")

_GOOD_WRAPPED = Example("""
from fastapi import Depends, FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from shop.db import make_tables, session

app = FastAPI()

@app.post("/shops")
async def add_shop(db: AsyncSession = Depends(session)):
    await make_tables(AsyncEngine(db.get_bind()))
    return {}
""")

RULE: Final = Rule(
    code="RW205",
    name="client-per-request",
    severity=Severity.LOW,
    looks="route",
    check=_check,
    summary="A route makes an HTTP client or a database engine for each request.",
    why="""Clients and engines have pools: they are made to be kept. One for each request opens
connections anew, with a TLS handshake and a context of certificates each time (20 to 50 ms of
processor time for httpx), and under load runs out of ports, or of connections that the
database allows.""",
    mend="Make it once in the lifespan, keep it in `app.state`, and close it at the end.",
    ours="Parts given to `roadworthy.lifespan` are opened once; `find()` reads them back.",
    bad=(_BAD, _BAD_ENGINE),
    good=(_GOOD, _GOOD_WRAPPED),
)
"""Finds HTTP clients and database engines that are made for each request."""

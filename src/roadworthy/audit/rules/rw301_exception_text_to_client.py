"""RW301: clients read what only the log should say."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.analyses import error_text
from roadworthy.audit.analyses.detached import runs_apart
from roadworthy.audit.analyses.error_text import Leak
from roadworthy.audit.analyses.harmless import only_own_texts
from roadworthy.audit.analyses.own_errors import carried, sent
from roadworthy.audit.dataflow import caught
from roadworthy.audit.dataflow.caught import Breadth, breadth_of
from roadworthy.audit.dataflow.statuses import raised_status
from roadworthy.audit.fastapi import handlers, verdicts
from roadworthy.audit.fastapi.consumers import is_consumer_s
from roadworthy.audit.fastapi.replaced_details import is_kept_back
from roadworthy.audit.fastapi.routes import route_of
from roadworthy.audit.model.finding import Confidence, Severity
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source.flow import Handler
from roadworthy.audit.source.module import Function, Module
from roadworthy.audit.source.nodes import written
from roadworthy.audit.source.pins import service_root

__all__ = ["RULE"]


_OWN: Final = range(500, 600)
_ANOTHER_S: Final = frozenset({502, 504})
"""Statuses of the 500s that say that another server failed (RFC 9110 §15.6.3, §15.6.5)."""


def _check(module: Module) -> Iterator[Hit]:
    if b"except" not in module.source:  # the word for handlers, too: `exception_handler`
        return
    found = [
        hit
        for function in module.functions
        for handler in function.flow.handlers
        for hit in _of_clause(handler, function)
    ]
    yield from _of_handlers(module)
    yield from sorted(found, key=lambda hit: hit.place.line)


def _of_clause(handler: Handler, function: Function) -> Iterator[Hit]:
    breadth = caught.breadth(handler.node, function)
    if breadth is Breadth.LIBRARY and _is_never_raised(handler.node, function):
        breadth = Breadth.NARROW
    if breadth is Breadth.OWN:
        return
    told = [*error_text.leaks(handler.node, function), *carried(handler.node, function)]
    found = [one for one in told if not is_kept_back(one.node, function)]
    if not found or only_own_texts(handler.tried, function) or runs_apart(function):
        return
    if is_consumer_s(function):
        return
    leak = min(found, key=lambda one: (not one.certain, one.conditions))
    yield Hit(
        place=function.place(leak.node),
        message=_message(handler.node, leak),
        confidence=_confidence(breadth, leak, function),
        fixable=leak.literal and breadth is Breadth.ALL,
    )


def _is_never_raised(handler: ast.ExceptHandler, function: Function) -> bool:
    """Return whether it is httpx's error of a status, which raises only where it is asked to."""
    kinds = list(caught.types(handler, function))
    if any(one is None or one.name != "httpx.HTTPStatusError" for one in kinds):
        return False
    codebase, here = (
        function.module.codebase,
        service_root(function.module.codebase.root, function.module.path),
    )
    asking = codebase.mentioning(b"raise_for_status")
    return all(service_root(codebase.root, path) != here for path in asking)


def _confidence(breadth: Breadth, leak: Leak, function: Function) -> Confidence:
    if breadth is Breadth.NARROW or (_is_test(function) and not _blames_itself(leak, function)):
        return Confidence.LOW
    if breadth is Breadth.LIBRARY or not leak.certain:
        return Confidence.MEDIUM
    return Confidence.HIGH


def _blames_itself(leak: Leak, function: Function) -> bool:
    """Return whether it is said to be the service's own failure: a 500, and no 502."""
    if not isinstance(leak.node, ast.Raise):
        return False
    status = raised_status(leak.node.exc, function)
    return status is None or (status in _OWN and status not in _ANOTHER_S)


def _is_test(function: Function) -> bool:
    """Return whether a route tests something for its client: what failed is the answer."""
    route = route_of(function)
    return route is not None and verdicts.tests(route)


def _message(handler: ast.ExceptHandler, leak: Leak) -> str:
    kind = "any exception" if handler.type is None else f"`{written(handler.type)}`"
    return (
        f"The text of {kind} goes into {leak.how}: file paths, SQL, addresses and values that it "
        "names are read by whoever makes the request fail."
    )


def _of_handlers(module: Module) -> Iterator[Hit]:
    for one in handlers.registered_in(module):
        breadth = Breadth.ALL if one.name in handlers.EVERYTHING else breadth_of(one.exception)
        if one.function is None or breadth < Breadth.LIBRARY:
            continue
        for event in sent(one.function):
            yield Hit(
                place=one.function.place(event.node),
                message=_ALL if breadth is Breadth.ALL else _LIBRARY.format(one.name),
                confidence=Confidence.MEDIUM if breadth is Breadth.LIBRARY else Confidence.HIGH,
            )


_LIBRARY: Final = (
    "Every `{}` answers with its own text: statements, values, addresses and paths that it names "
    "are read by whoever makes a request fail."
)
_ALL: Final = (
    "Every crash answers with its own text: file paths, SQL, addresses and values that it names "
    "are read by whoever makes a request fail."
)


_BAD = Example("""
from fastapi import APIRouter, HTTPException
from fastapi.responses import JSONResponse

router = APIRouter()

@router.post("/orders")
async def add_order(order: dict):
    try:
        return await store(order)
    except Exception as error:
        raise HTTPException(status_code=500, detail=str(error))  # found

@router.get("/orders")
async def orders():
    try:
        return await load()
    except Exception as error:
        text = f"Could not load: {error}"
        return JSONResponse({"message": text}, status_code=500)  # found
""")

_BAD_HANDLER = Example("""
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

app = FastAPI()

@app.exception_handler(Exception)
async def crashed(request: Request, error: Exception):
    try:
        log(error)
    except OSError:
        pass
    return JSONResponse({"detail": str(error)}, status_code=500)  # found
""")

_GOOD = Example("""
import logging
from fastapi import APIRouter, HTTPException

router = APIRouter()
log = logging.getLogger(__name__)

class OutOfStock(Exception):
    \"\"\"A text for customers.\"\"\"

@router.post("/orders")
async def add_order(order: dict):
    try:
        return await store(order)
    except OutOfStock as error:
        raise HTTPException(status_code=409, detail=str(error)) from error
    except Exception as error:
        log.exception("Order failed: %s", error)
        raise HTTPException(status_code=500, detail="The order was not stored.") from error
""")

_BAD_LATER = Example(
    """
from fastapi import APIRouter, HTTPException
from shop.words import told

router = APIRouter()

class OutOfStock(Exception):
    ...

@router.post("/orders")
async def add_order(order: dict):
    try:
        return await store(order)
    except Exception as error:
        if isinstance(error, OutOfStock):
            raise HTTPException(409, str(error)) from error
        raise HTTPException(500, f"Not stored: {told(error)}") from error  # found
# file: shop/words.py
def told(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "It took too long."
    return str(error)
""",
    "Two kinds have a text of their own; all others say what they like.",
)

_BAD_UNKNOWN = Example(
    """
from fastapi import FastAPI, HTTPException

app = FastAPI()

class Prices:
    def __init__(self, index, store):
        self.index, self.store = index, store

    async def note(self, key: str, text: str):
        try:
            await self.store.append(key, text)
        except Exception as error:
            raise HTTPException(503, detail=str(error)) from error  # found

    def find(self, words: str):
        try:
            return self.index.search(words)
        except Exception as error:
            raise HTTPException(500, detail=str(error)) from error  # found

@app.get("/stock")
def stock(strict: bool = False):
    try:
        return count()
    except Exception as error:
        if strict:
            raise HTTPException(500, detail=str(error)) from error  # found
    return {}
""",
    "What a store's `append` or an index's `search` raises, nobody knows; a client may be strict.",
)

_GOOD_ELSEWHERE = Example(
    """
# file: shop/words.py
class Words:
    @staticmethod
    def of(error, instead):
        if isinstance(error, Exception):
            return instead
        return f"[{error}]"

def safe(error: Exception, *, expose: bool = False) -> str:
    if expose:
        return str(error)
    return "It did not work."
# file: shop/api.py
from fastapi import APIRouter, HTTPException
from shop.settings import settings
from shop.words import Words, safe

router = APIRouter()

@router.post("/orders")
async def add_order(order: dict):
    try:
        return await store(order)
    except Exception as error:
        raise HTTPException(500, Words.of(error, "It was not stored.")) from error

@router.delete("/orders")
async def remove_orders():
    try:
        return await remove()
    except Exception as error:
        text = str(error) if settings.debug else "They were not removed."
        raise HTTPException(500, f"{safe(error)} {text}") from error
""",
    "What a helper makes of the exception is what counts.",
)

_GOOD_OWN_TEXTS = Example(
    """
import asyncio
import base64
import re
from fastapi import APIRouter, HTTPException
from sqlalchemy.exc import NoResultFound
from shop.settings import settings

router = APIRouter()
LETTERS = re.compile("[a-z]+")
running: set[asyncio.Task[None]] = set()

def check_name(name: str) -> None:
    if not LETTERS.fullmatch(name):
        raise Exception("A name has letters only")

@router.post("/pictures/{name}")
async def add_picture(name: str, content: str):
    try:
        check_name(name)
        most = settings.most_bytes
        found = base64.b64decode(content)
    except Exception as error:
        raise HTTPException(400, detail=str(error)) from error
    try:
        shelf = await find_shelf(name)
    except NoResultFound as error:
        raise HTTPException(404, detail=str(error)) from error
    return {"size": len(found), "most": most, "shelf": shelf}

@router.post("/shelves/{name}")
async def add_shelf(name: str, names: list[str]):
    try:
        if name not in names:
            names.append(name)
    except Exception as error:
        raise HTTPException(400, detail=str(error)) from error
    return names

@router.post("/plans/validate")
async def validate_plan(plan: dict):
    try:
        await check_plan(plan)
    except Exception as error:
        raise HTTPException(400, detail=str(error)) from error

@router.post("/connections/test")
async def test_connection(address: str):
    try:
        await connect(address)
    except Exception as error:
        return {"works": False, "why": str(error)}
    return {"works": True}

@router.post("/imports")
async def start_import(name: str):
    task = asyncio.get_event_loop().create_task(import_all(name))
    running.add(task)
    task.add_done_callback(running.discard)
    return {"status": "accepted"}

async def import_all(name: str) -> None:
    try:
        await load(name)
    except Exception as error:
        raise HTTPException(400, detail=str(error)) from error
""",
    "Texts of the project's own, of the client's own data, and those that no client gets.",
)

_GOOD_ELSE = Example(
    """
from fastapi.responses import JSONResponse
from kui.asgi import Kui

class Server:
    def __init__(self):
        self.app = Kui(exception_handlers={Exception: self.failed})

    async def failed(self, error: Exception):
        return JSONResponse({"message": str(error)}, 500)
""",
    "An application of another framework.",
)

RULE: Final = Rule(
    code="RW301",
    name="exception-text-to-client",
    severity=Severity.MEDIUM,
    looks="module",
    check=_check,
    summary="The text of an exception that may be anything is sent to the client.",
    why="""Exceptions are written for those who run a service. A database error quotes the
statement, its values and the server's address; a missing file gives its path; a failed call of
another service its URL, with the key in it. Whoever can make a request fail can read that.""",
    mend='log.exception("…"), and a constant text: HTTPException(500, "It was not stored.").',
    ours="`roadworthy.problems`: constant texts for clients, causes in the log, by request id.",
    bad=(_BAD, _BAD_HANDLER, _BAD_LATER, _BAD_UNKNOWN),
    good=(_GOOD, _GOOD_ELSEWHERE, _GOOD_OWN_TEXTS, _GOOD_ELSE),
)
"""The rule."""

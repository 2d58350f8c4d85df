"""RW301: clients read what only the log should say."""

from collections.abc import Iterator
from typing import Final

from roadworthy.audit.analyses.told_errors import (
    ToldByClause,
    ToldByHandler,
    told_by_clauses,
    told_by_handlers,
)
from roadworthy.audit.dataflow.caught import Breadth
from roadworthy.audit.model.finding import Confidence, Severity
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source.module import Module
from roadworthy.audit.source.nodes import written

__all__ = ["RULE"]


def _check(module: Module) -> Iterator[Hit]:
    yield from map(_of_handler, told_by_handlers(module))
    found = map(_of_clause, told_by_clauses(module))
    yield from sorted(found, key=lambda hit: hit.place.line)


def _of_clause(told: ToldByClause) -> Hit:
    leak = told.leak
    return Hit(
        place=told.function.place(leak.node),
        message=_message(told),
        confidence=_confidence(told),
        fixable=leak.literal and told.breadth is Breadth.ALL,
    )


def _confidence(told: ToldByClause) -> Confidence:
    if told.breadth is Breadth.NARROW or told.is_answer:
        return Confidence.LOW
    if told.breadth is Breadth.LIBRARY or not told.leak.certain:
        return Confidence.MEDIUM
    return Confidence.HIGH


def _message(told: ToldByClause) -> str:
    caught = told.handler.type
    kind = "any exception" if caught is None else f"`{written(caught)}`"
    return (
        f"The text of {kind} goes into {told.leak.how}: file paths, SQL, addresses and values "
        "that it names are read by whoever makes the request fail."
    )


def _of_handler(told: ToldByHandler) -> Hit:
    breadth = told.breadth
    return Hit(
        place=told.function.place(told.node),
        message=_ALL if breadth is Breadth.ALL else _LIBRARY.format(told.name),
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
"""Finds exceptions whose text is sent to clients."""

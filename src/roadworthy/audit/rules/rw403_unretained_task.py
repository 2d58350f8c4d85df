"""RW403: a task of asyncio that nobody holds on to."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.analyses.detached import is_unused
from roadworthy.audit.dataflow.started_tasks import is_dropped, is_start
from roadworthy.audit.dataflow.starters import Runs, may_start
from roadworthy.audit.fastapi.background import handles_all
from roadworthy.audit.model.finding import Severity
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source import names
from roadworthy.audit.source.flow import Call
from roadworthy.audit.source.module import Function, Module

__all__ = ["RULE"]


def _check(module: Module) -> Iterator[Hit]:
    if not may_start(module.source, Runs.TASK):
        return
    scopes: list[Module | Function] = [module, *module.functions]
    for scope in scopes:
        found = [one for one in scope.flow.calls if _is_left(one, scope) and is_start(one, scope)]
        if found and isinstance(scope, Function) and (scope.name == "__del__" or is_unused(scope)):
            continue  # nobody is left to hold it, or nothing is started
        for call in found:
            yield Hit(place=module.place(call.node, scope), message=_message(call, scope))


def _message(call: Call, scope: Module | Function) -> str:
    if _tells(call, scope):
        return f"{_DROPPED}."
    return f"{_DROPPED}, and nobody sees its error."


_DROPPED: Final = "Nothing holds this task: Python may drop it before it has run to its end"


def _tells(call: Call, scope: Module | Function) -> bool:
    """Return whether what is started catches whatever it calls may raise."""
    started = call.node.args[0] if call.node.args else None
    found = names.resolve(started.func, scope) if isinstance(started, ast.Call) else None
    return found is not None and found.function is not None and handles_all(found.function)


def _is_left(call: Call, scope: Module | Function) -> bool:
    """Return whether nobody holds a task of a server; a program that ends has another loop."""
    return is_dropped(call) and not any(
        isinstance(block.node, ast.ExceptHandler) and _answers_no_loop(block.node, scope)
        for block in call.blocks("handler")
    )


def _answers_no_loop(handler: ast.ExceptHandler, scope: Module | Function) -> bool:
    """`except RuntimeError:` around `asyncio.run(...)`: mostly, a loop was running already."""
    found = names.resolve(handler.type, scope)
    return found is not None and found.name == "builtins.RuntimeError"


_IN_A_ROUTE = Example("""
import asyncio
import httpx
from fastapi import FastAPI

app = FastAPI()

async def tell(number: int) -> None:
    async with httpx.AsyncClient() as client:
        await client.post("https://warehouse.example/orders", json={"order": number})

@app.post("/orders/{number}")
async def order(number: int):
    asyncio.create_task(tell(number))  # found
    return {"status": "accepted"}
""")

_BY_THE_LOOP = Example("""
import asyncio
from fastapi import APIRouter

router = APIRouter()

async def count() -> None:
    await asyncio.sleep(60)

def start_counting() -> None:
    loop = asyncio.get_event_loop()
    loop.create_task(count())  # found
    _ = asyncio.ensure_future(count())  # found

@router.post("/counters")
async def add_counter():
    start_counting()
    return {}
""")

_HELD = Example("""
import asyncio
from fastapi import FastAPI

app = FastAPI()
running: set[asyncio.Task] = set()

async def count() -> None:
    await asyncio.sleep(60)

@app.post("/counters")
async def add_counter():
    task = asyncio.create_task(count())
    running.add(task)
    task.add_done_callback(running.discard)
    async with asyncio.TaskGroup() as group:
        group.create_task(count())
    await asyncio.create_task(count())
    return {}
""")

_ENDING = Example(
    """
# file: migrations/env.py
import asyncio
from alembic import context
from fastapi import FastAPI

async def migrate() -> None:
    context.run_migrations()

try:
    asyncio.run(migrate())
except RuntimeError:
    asyncio.get_event_loop().create_task(migrate())

class Client:
    async def close(self) -> None: ...

    def __del__(self):
        asyncio.get_event_loop().create_task(self.close())
""",
    "A program that cannot have a loop of its own; an object that nobody has any more.",
)

RULE: Final = Rule(
    code="RW403",
    name="unretained-task",
    severity=Severity.MEDIUM,
    looks="module",
    check=_check,
    summary="The result of `asyncio.create_task` is thrown away.",
    why="""The event loop holds its tasks weakly: a task that nothing else refers to can be
collected while it waits, and is then never finished (the documentation of
`asyncio.create_task` says so). Its error is only told when it is collected. At shutdown
nobody can wait for it.""",
    mend="Keep the task in a set until it is done, or use asyncio.TaskGroup.",
    ours="Jobs of `roadworthy.jobs` are rows, and outlive the process.",
    bad=(_IN_A_ROUTE, _BY_THE_LOOP),
    good=(_HELD, _ENDING),
)
"""Finds tasks of asyncio that nothing holds a reference to."""

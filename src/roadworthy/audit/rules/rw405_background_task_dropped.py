"""RW405: a background task is added to an answer that is not sent with it."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.dataflow.raising import error_after
from roadworthy.audit.dataflow.reach import calls
from roadworthy.audit.fastapi.background import Task, tasks
from roadworthy.audit.fastapi.routes import Route
from roadworthy.audit.model.finding import Severity
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source import names
from roadworthy.audit.source.flow import Block
from roadworthy.audit.source.nodes import walk

__all__ = ["RULE"]


def _check(route: Route) -> Iterator[Hit]:
    function = route.function
    if not any(_is_injected(route, param.name) for param in function.params):
        return
    for task in tasks(function):
        added = task.call.func
        owner = added.value if isinstance(added, ast.Attribute) else None
        if not isinstance(owner, ast.Name) or not _is_injected(route, owner.id):
            continue
        why = _replaced(task, owner.id, route) or _raised(task)
        if why:
            yield Hit(
                place=function.place(task.call),
                message=f"{task.text} never runs: {why}.",
            )


def _is_injected(route: Route, name: str) -> bool:
    param = route.function.param(name)
    if param is None:
        return False
    return names.is_a(
        names.type_of(param.annotation, route.function.around), "fastapi.BackgroundTasks"
    )


def _replaced(task: Task, name: str, route: Route) -> str:
    """Say which response that follows brings a background task of its own."""
    for one in calls(route.function):
        node = one.call.node
        own = next((k.value for k in node.keywords if k.arg == "background"), None)
        if own is None or _mentions(own, name) or node.lineno < task.call.lineno:
            continue
        if isinstance(one.call.statement, ast.Return) and _follows(task, one.call.block):
            return f"the response of line {node.lineno} has a background task of its own"
    return ""


def _mentions(node: ast.expr, name: str) -> bool:
    if isinstance(node, ast.Constant):
        return True  # None
    return any(isinstance(part, ast.Name) and part.id == name for part in walk(node))


def _follows(task: Task, block: Block | None) -> bool:
    """Return whether a later block always has the task's behind it."""
    around = task.reached.call.block
    return around is None or (block is not None and around in block.chain())


def _raised(task: Task) -> str:
    """Say which error always follows: its answer has no background tasks."""
    error = error_after(task.reached.call, task.reached.scope)
    if error is None:
        return ""
    return f"line {error.lineno} answers with an error, which brings no tasks"


_REPLACED = Example(
    """
from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask
from shop.labels import note, remove, write

app = FastAPI()

@app.get("/labels/{number}")
def label(number: int, background: BackgroundTasks):
    path = write(number)
    background.add_task(note, number)  # found
    return FileResponse(path, background=BackgroundTask(remove, path))
""",
    "A response with tasks of its own replaces those that were added.",
)

_RAISED = Example("""
from fastapi import BackgroundTasks, FastAPI, HTTPException
from shop.orders import allowed, note_refusal, place

app = FastAPI()

@app.post("/orders/{number}")
async def order(number: int, background: BackgroundTasks):
    if not allowed(number):
        background.add_task(note_refusal, number)  # found
        raise HTTPException(403, "not allowed")
    return place(number)
""")

_KEPT = Example("""
from fastapi import BackgroundTasks, FastAPI, HTTPException
from fastapi.responses import FileResponse, JSONResponse
from shop.labels import note, remove, write

app = FastAPI()

@app.get("/labels/{number}")
def label(number: int, background: BackgroundTasks):
    if number < 0:
        raise HTTPException(404)
    path = write(number)
    background.add_task(note, number)
    background.add_task(remove, path)
    return FileResponse(path, background=background)

@app.get("/notes/{number}")
def notes(number: int, background: BackgroundTasks):
    background.add_task(note, number)
    return JSONResponse({"number": number})
""")

RULE: Final = Rule(
    code="RW405",
    name="background-task-dropped",
    severity=Severity.HIGH,
    looks="route",
    check=_check,
    summary="A background task is added, and then an answer is sent that does not bring it.",
    why="""FastAPI runs what was added to `BackgroundTasks` with the response that the route
returns. A response that has a `background` of its own keeps that, and the others are lost
without a word. An error is answered by a handler, which has no background tasks: what was
added before `raise` never runs.""",
    mend="Add all tasks to one BackgroundTasks and give it to the response; before an error, act.",
    ours="""A job of `roadworthy.jobs` does not depend on the response: `enqueue` wrote it, in `def`
routes `enqueue_sync`.""",
    bad=(_REPLACED, _RAISED),
    good=(_KEPT,),
)
"""Finds background tasks that are lost because another answer is sent."""

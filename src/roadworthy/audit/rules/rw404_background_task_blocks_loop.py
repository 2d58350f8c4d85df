"""RW404: a background task stops the event loop."""

from collections.abc import Iterator
from typing import Final

from roadworthy.audit.analyses.stalls import stalls
from roadworthy.audit.dataflow.blocking_calls import Kind
from roadworthy.audit.fastapi.background import Task, tasks
from roadworthy.audit.fastapi.queued_elsewhere import is_second_choice
from roadworthy.audit.model.finding import Confidence, Severity
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source.module import Function

__all__ = ["RULE"]


def _check(function: Function) -> Iterator[Hit]:
    for task in tasks(function):
        runs = task.function
        found = stalls(runs) if runs is not None and runs.is_async else ()
        if runs is not None and found:
            first = found[0]
            yield Hit(
                place=function.place(task.call),
                message=(
                    f"{task.text} is a coroutine, so it runs on the event loop, where "
                    f"{first.text} {first.effect.said}: until it returns, no request is answered."
                ),
                confidence=_confidence(task, first.effect.kind),
                flow=first.flow(f"{runs.name}() is the task"),
            )


def _confidence(task: Task, kind: Kind) -> Confidence:
    if is_second_choice(task):
        return Confidence.LOW
    return Confidence.MEDIUM if kind == "files" else Confidence.HIGH


_MAIL = Example("""
import smtplib
from fastapi import BackgroundTasks, FastAPI

app = FastAPI()

async def confirm(address: str) -> None:
    try:
        smtplib.SMTP("mail.example").sendmail("shop@example.com", address, "Thank you")
    except Exception:
        pass

@app.post("/orders")
async def order(address: str, background: BackgroundTasks):
    background.add_task(confirm, address)  # found
    return {"status": "accepted"}
""")

_SYNC = Example("""
import asyncio
import smtplib
from fastapi import BackgroundTasks, FastAPI

app = FastAPI()

def confirm(address: str) -> None:
    try:
        smtplib.SMTP("mail.example").sendmail("shop@example.com", address, "Thank you")
    except Exception:
        pass

async def remind(address: str) -> None:
    await asyncio.sleep(3600)
    await asyncio.to_thread(confirm, address)

@app.post("/orders")
async def order(address: str, background: BackgroundTasks):
    background.add_task(confirm, address)
    background.add_task(remind, address)
    return {"status": "accepted"}
""")

RULE: Final = Rule(
    code="RW404",
    name="background-task-blocks-loop",
    severity=Severity.MEDIUM,
    looks="function",
    check=_check,
    summary="A background task declared with `async def` makes a call that waits.",
    why="""A background task that is a function runs in a thread; one that is `async def` runs
on the event loop, after the answer but before everybody else's. What it calls without `await`
and waits for stops all other requests of the process.""",
    mend="Declare the task with `def`: FastAPI then runs it in a thread.",
    ours="Jobs of `roadworthy.jobs` run in a worker.",
    bad=(_MAIL,),
    good=(_SYNC,),
)
"""Finds background tasks that block the event loop."""

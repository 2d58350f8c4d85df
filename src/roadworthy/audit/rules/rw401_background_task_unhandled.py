"""RW401: a background task may fail, and nothing is done about it."""

from collections.abc import Iterator
from typing import Final

from roadworthy.audit.dataflow.blocking_calls import outside
from roadworthy.audit.dataflow.reach import Reached, steps
from roadworthy.audit.fastapi.background import Task, first_unhandled, is_of_cache, tasks
from roadworthy.audit.fastapi.queued_elsewhere import is_second_choice
from roadworthy.audit.model.finding import Confidence, Severity
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source.module import Function

__all__ = ["RULE"]


def _check(function: Function) -> Iterator[Hit]:
    for task in tasks(function):
        runs = task.function
        failing = _library(task) if runs is None else first_unhandled(runs)
        if failing is not None:
            yield Hit(
                place=function.place(task.call),
                message=(
                    f"The client has its answer when {task.text} runs; where that fails, it is "
                    "not done, nobody is told, and tasks added after it do not run."
                ),
                confidence=_confidence(task, failing),
                flow=() if runs is None else steps(failing, f"{runs.name}() is the task", runs),
            )


def _confidence(task: Task, failing: Reached) -> Confidence:
    """Return less where little is lost: a key of a cache, or a queue does it in production."""
    little = is_of_cache(failing) or is_second_choice(task)
    return Confidence.LOW if little else Confidence.MEDIUM


def _library(task: Task) -> Reached | None:
    """Return what a library's function does as a task, where that may fail."""
    reached = Reached(task.reached.call, task.ref, task.reached.scope)
    cleans = task.ref is not None and task.ref.name.startswith("shutil.")
    return reached if outside(reached) and not cleans else None


_MAIL = Example("""
import smtplib
from fastapi import BackgroundTasks, FastAPI

app = FastAPI()

def confirm(address: str, number: int) -> None:
    with smtplib.SMTP("mail.example") as mail:
        mail.sendmail("shop@example.com", address, f"Order {number} is on its way")

@app.post("/orders/{number}")
def order(number: int, address: str, background: BackgroundTasks):
    background.add_task(confirm, address, number)  # found
    return {"status": "accepted"}
""")

_TWO_FILES = Example(
    """
# file: shop/stock.py
import httpx

class Stock:
    async def reserve(self, number: int) -> None:
        await self._post({"product": number})

    async def _post(self, content: dict) -> None:
        async with httpx.AsyncClient() as client:
            answer = await client.post("https://stock.example/reservations", json=content)
            answer.raise_for_status()

# file: shop/api.py
from fastapi import APIRouter, BackgroundTasks
from shop.stock import Stock

router = APIRouter()
stock = Stock()

@router.post("/orders")
async def order(product: int, tasks: BackgroundTasks):
    tasks.add_task(stock.reserve, product)  # found
    return {"status": "reserved"}
""",
    "The answer says that it is reserved.",
)

_HANDLED = Example("""
import logging
import smtplib
from fastapi import BackgroundTasks, FastAPI
from tenacity import retry, stop_after_attempt

app = FastAPI()

def confirm(address: str) -> None:
    try:
        smtplib.SMTP("mail.example").sendmail("shop@example.com", address, "Thank you")
    except Exception:
        logging.exception("not confirmed: %s", address)

@retry(stop=stop_after_attempt(5))
def remind(address: str) -> None:
    smtplib.SMTP("mail.example").sendmail("shop@example.com", address, "Still there?")

def count(address: str) -> None:
    counted[address] = counted.get(address, 0) + 1

counted: dict[str, int] = {}

@app.post("/orders")
def order(address: str, background: BackgroundTasks):
    background.add_task(confirm, address)
    background.add_task(remind, address)
    background.add_task(count, address)
    return {"status": "accepted"}
""")

_WRAPPED = Example("""
import functools
import logging
import requests
from fastapi import BackgroundTasks, FastAPI

app = FastAPI()

def reported(task):
    @functools.wraps(task)
    def run(*given):
        try:
            task(*given)
        except Exception:
            logging.exception("failed: %s", task.__name__)
    return run

@reported
def tell(number: int) -> None:
    requests.post("https://warehouse.example/orders", json={"order": number}, timeout=3)

@app.post("/orders/{number}")
def order(number: int, background: BackgroundTasks):
    background.add_task(tell, number)
    return {"status": "accepted"}
""")

RULE: Final = Rule(
    code="RW401",
    name="background-task-unhandled",
    severity=Severity.HIGH,
    looks="function",
    check=_check,
    summary="A background task asks a server or a database, and nothing handles that it fails.",
    why="""A background task runs when the client has its answer. Where it fails, the promise
of that answer is broken: there is a traceback in the log, no second attempt, and the tasks that
were added after it are not run. If the process ends first, nothing is left at all.""",
    mend="Handle the error in the task (try again, note it), or keep the work in a table.",
    ours="""A task of `roadworthy.jobs` is written into the transaction of the request, and retried:
`enqueue`, in `def` routes `enqueue_sync`.""",
    bad=(_MAIL, _TWO_FILES),
    good=(_HANDLED, _WRAPPED),
)
"""Finds background tasks whose failure nothing handles."""

"""Which tasks are left behind, and what is said of their errors."""

import pytest

from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

RULE = [rule for rule in RULES if rule.code == "RW403"]
SOURCE = """
# file: shop/tasks.py
import asyncio
import httpx

async def tell(number: int) -> None:
    await httpx.AsyncClient().post("https://x", json=number)

async def tell_safely(number: int) -> None:
    try:
        await tell(number)
    except Exception as error:
        print(error)

def start():
    asyncio.create_task({started})

# file: shop/app.py
from fastapi import FastAPI
from shop import tasks

app = FastAPI()

@app.post("/orders")
async def add_order(number: int):
    {called}
    return {{}}
"""


@pytest.fixture
def messages(write):
    def ask(started: str, called: str) -> list[str]:
        folder = write(SOURCE.format(started=started, called=called))
        found = audit([folder], root=folder, rules=RULE, processes=1).findings
        return [one.message for one in found]

    return ask


@pytest.mark.parametrize(("started", "told"), [("tell(1)", False), ("tell_safely(1)", True)])
def test_an_error_that_a_task_handles_itself_is_seen(messages, started, told):
    (said,) = messages(started, "tasks.start()")

    assert ("nobody sees its error" in said) is not told


@pytest.mark.parametrize("called", ["tasks.start()", "run(tasks.start)", "run('start')"])
def test_a_function_that_is_named_somewhere_starts_its_task(messages, called):
    assert len(messages("tell(1)", called)) == 1


@pytest.mark.parametrize("called", ["pass", "tasks.restart()"])
def test_a_function_that_nobody_names_starts_nothing(messages, called):
    assert messages("tell(1)", called) == []

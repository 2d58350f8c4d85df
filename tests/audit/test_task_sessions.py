"""What is said of a request's session, or connection, that a task gets after the request."""

import pytest

from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

RULE = next(rule for rule in RULES if rule.code == "RW402")
SOURCE = """
from typing import Annotated
from fastapi import BackgroundTasks, Depends, FastAPI
{imported}

app = FastAPI()

async def opened():
    async with connect() as made:
        yield made

def report(db) -> None: ...

@app.post("/orders")
async def add(tasks: BackgroundTasks, db: Annotated[{kind}, Depends(opened, scope="function")]):
    tasks.add_task(report, db)
    return {{}}
"""


@pytest.mark.parametrize(
    ("imported", "kind", "said"),
    [
        ("from sqlalchemy.orm import Session", "Session", "it takes a new connection"),
        ("import asyncpg", "asyncpg.Connection", "it is closed, or works for another request"),
    ],
)
def test_a_session_opens_again_and_a_connection_does_not(imported, kind, said, tmp_path):
    (tmp_path / "app.py").write_text(SOURCE.format(imported=imported, kind=kind))

    (found,) = audit([tmp_path], root=tmp_path, rules=[RULE], processes=1).findings

    assert said in found.message


BESIDE = """
import asyncio
from typing import Annotated
from fastapi import BackgroundTasks, Depends, FastAPI
from sqlalchemy.orm import Session, sessionmaker
from shop import engine, gather

app = FastAPI()
sessions = sessionmaker(engine)
running = set()
Db = Annotated[Session, Depends(lambda: sessions())]

class Orders:
    def __init__(self, db: Session):
        self.db = db

async def report(orders, number=0) -> None: ...

@app.post("/orders")
async def add(tasks: BackgroundTasks, db: Db, number: int):
    orders = Orders(db)
    {body}
"""


@pytest.fixture
def some(write):
    def ask(body: str) -> bool:
        folder = write(BESIDE.format(body=body))
        return bool(audit([folder], root=folder, rules=[RULE], processes=1).findings)

    return ask


@pytest.mark.parametrize(
    "body",
    [
        "asyncio.create_task(report(db))",
        "_ = asyncio.ensure_future(report(orders=db))",
        "asyncio.get_event_loop().create_task(report(orders))",
        "asyncio.create_task(report([1, db]))",
        "t = asyncio.create_task(report(db)); running.add(t); t.add_done_callback(running.discard)",
        "def work():\n        db.commit()\n    tasks.add_task(work)",
        "async def work(n):\n        await report(orders)\n    tasks.add_task(work, 1)",
        "def work():\n        for one in db.scalars('x'): print(one)\n    tasks.add_task(work)",
    ],
)
def test_a_task_beside_the_request_or_written_in_it_has_its_session(some, body):
    assert some(body)


@pytest.mark.parametrize(
    "body",
    [
        "await asyncio.create_task(report(db))",
        "t = asyncio.create_task(report(db)); await t",
        "t = asyncio.create_task(report(db)); await gather(t)",
        "t = asyncio.create_task(report(db)); return await asyncio.wait_for(t, 1)",
        "asyncio.create_task(report(number))",
        "asyncio.create_task(report(Orders(sessions())))",
        "with sessions() as own:\n        t = asyncio.create_task(report(own)); await t",
        "def work():\n        with sessions() as db: db.commit()\n    tasks.add_task(work)",
        "def work(db):\n        db.commit()\n    tasks.add_task(work, number)",
        "def work():\n        print(number)\n    tasks.add_task(work)",
    ],
)
def test_a_task_that_is_waited_for_or_opens_its_own_session_is_left_alone(some, body):
    assert not some(body)

"""What is said of a request's session, or connection, that a task gets after the request."""

import pytest

from roadworthy.audit.engine import audit
from roadworthy.audit.rules import RULES

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

"""Background tasks that a helper adds: what it is handed runs after the answer."""

import pytest

from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

SOURCE = """
from fastapi import BackgroundTasks, Depends, FastAPI
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker
import requests

app = FastAPI()
made = sessionmaker(create_engine("postgresql://localhost/shop"))

def opened():
    with made() as session:
        yield session

def send(number: int) -> None:
    requests.post("https://x", timeout=3)

def note(session: Session) -> None:
    session.execute("select 1")

class Jobs:
    def later(self, tasks: BackgroundTasks, work, *args):
        {adds}

@app.post("/orders/{{number}}")
def order(number: int, tasks: BackgroundTasks, session: Session = Depends(opened)):
    Jobs().later(tasks, {given})
    return {{}}
"""
ADDS = "tasks.add_task(work, *args)"


@pytest.mark.parametrize(
    ("adds", "given", "codes"),
    [
        (ADDS, "send, number", ["RW401"]),
        (ADDS, "work=send", ["RW401"]),
        (ADDS, "note, session", ["RW401", "RW402"]),
        (ADDS, "print, number", []),
        ("print(tasks, work, args)", "send, number", []),
        ("work = print\n        tasks.add_task(work, *args)", "send, number", []),
    ],
)
def test_what_a_helper_adds_is_a_task(write, adds, given, codes):
    folder = write(SOURCE.format(adds=adds, given=given))
    rules = [one for one in RULES if one.code in {"RW401", "RW402"}]
    found = audit([folder], root=folder, rules=rules, processes=1).findings

    assert [one.rule for one in found] == codes

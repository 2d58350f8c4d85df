"""Tasks of methods: of a controller or a service that holds the request's session."""

import pytest

from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

RULE = [one for one in RULES if one.code == "RW402"]
HEAD = """
from contextlib import contextmanager
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI
from fastapi_utils.cbv import cbv
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker

app, router = FastAPI(), APIRouter()
Made = sessionmaker(create_engine("postgresql://localhost/shop"))

def get_session():
    with Made() as session:
        yield session

def note(session: Session, number: int) -> None:
    session.execute(text("select 1"))
"""
CONTROLLER = """
@cbv(router)
class Orders:
    {held}

    def again(self, number: int) -> None:
        {work}

    @router.post("/orders/{{number}}")
    def add(self, number: int, background: BackgroundTasks):
        {adds}
        return {{}}

app.include_router(router)
"""
SERVICE = """
class Orders:
    def __init__(self, {given}):
        {keeps}

    def again(self, number: int) -> None:
        {work}

    def add(self, number: int, background: BackgroundTasks):
        background.add_task(self.again, number)

@app.post("/orders/{{number}}")
def add(number: int, background: BackgroundTasks, session: Session = Depends(get_session)):
    Orders({made}).add(number, background)
    return {{}}
"""
HELD = "session: Session = Depends(get_session)"
WORK = 'self.session.execute(text("select 1"))'


@pytest.fixture
def found(write):
    def ask(source: str) -> bool:
        folder = write(HEAD + source)
        return bool(audit([folder], root=folder, rules=RULE, processes=1).findings)

    return ask


@pytest.mark.parametrize(
    "adds",
    [
        "background.add_task(note, self.session, number)",
        "background.add_task(note, number=number, session=self.session)",
        "background.add_task(self.again, number)",
        "background.add_task(lambda: self.again(number))",
        "background.add_task(lambda: note(self.session, number))",
        "session = self.session\n        background.add_task(note, session, number)",
    ],
)
def test_a_controller_s_session_is_the_request_s(found, adds):
    assert found(CONTROLLER.format(held=HELD, work=WORK, adds=adds))


@pytest.mark.parametrize(
    ("held", "work", "adds"),
    [
        (HELD, "print(number)", "background.add_task(self.again, number)"),
        (HELD, WORK, "background.add_task(print, number)"),
        (HELD, "with Made() as own: note(own, number)", "background.add_task(self.again, number)"),
        ("name: str = 'x'", "print(number)", "background.add_task(print, self.name)"),
    ],
)
def test_a_task_that_leaves_it_alone_is_quiet(found, held, work, adds):
    assert not found(CONTROLLER.format(held=held, work=work, adds=adds))


@pytest.mark.parametrize(
    ("given", "keeps", "work", "made", "is_found"),
    [
        ("session: Session", "self.session = session", WORK, "session", True),
        ("db: Session", "self._db = db", "note(self._db, number)", "session", True),
        ("session: Session", "self.session = session", "print(number)", "session", False),
        ("maker=Made", "self.session = maker", "with self.session() as s: note(s, 1)", "", False),
        ("", "self.session = Made()", WORK, "", False),
    ],
)
def test_a_service_that_is_given_the_session_has_it_in_its_task(
    found, given, keeps, work, made, is_found
):
    source = SERVICE.format(given=given, keeps=keeps, work=work, made=made)

    assert found(source) is is_found

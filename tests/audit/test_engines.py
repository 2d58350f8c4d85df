"""Which engines of databases a request makes anew, and which it needs for a database of its own."""

import pytest

from roadworthy.audit.engine import audit
from roadworthy.audit.rules import RULES

RULE = [rule for rule in RULES if rule.code == "RW205"]
SOURCE = """
from fastapi import FastAPI
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from shop import files

app = FastAPI()
URL = "postgresql:///shop"

def clear(user: str) -> None:
    for path in files():
        engine = create_engine({url})
        try:
            with Session(engine) as session:
                session.delete(user)
        finally:
            {closes}

@app.delete("/users/{{user}}")
def remove(user: str):
    clear(user)
"""


@pytest.fixture
def lines(write):
    def ask(url: str, closes: str) -> list[int]:
        folder = write(SOURCE.format(url=url, closes=closes))
        found = audit([folder], root=folder, rules=RULE, processes=1).findings
        return [one.line for one in found]

    return ask


@pytest.mark.parametrize("url", ["f'sqlite:///{path}'", "'sqlite:///' + user", "path"])
def test_an_engine_for_one_of_many_databases_is_closed_when_that_is_done(lines, url):
    assert lines(url, "engine.dispose()") == []


@pytest.mark.parametrize(
    ("url", "closes"),
    [
        ("f'sqlite:///{path}'", "pass"),
        ("f'sqlite:///{path}'", "session.dispose()"),
        ("URL", "engine.dispose()"),
        ("'postgresql:///shop'", "engine.dispose()"),
    ],
)
def test_an_engine_that_is_kept_by_nobody_or_of_one_database_is_found(lines, url, closes):
    assert lines(url, closes) == [20]

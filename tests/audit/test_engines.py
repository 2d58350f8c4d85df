"""Which engines and clients a request makes anew, and which are there for it alone."""

import pytest

from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

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


CLIENT = """
import httpx
from fastapi import FastAPI, Request
from shop import Safe

app = FastAPI()
inside = httpx.ASGITransport(app=app)

@app.post("/tools")
async def call_tool(request: Request):
    mine = httpx.ASGITransport(app=request.app)
    async with httpx.AsyncClient({options}base_url="https://x") as client:
        return (await client.get("/tools")).json()
"""


@pytest.mark.parametrize(
    ("options", "some"),
    [
        ("transport=httpx.ASGITransport(app=app), ", False),
        ("transport=inside, ", False),
        ("transport=mine, ", False),
        ("app=app, ", False),
        ("", True),
        ("transport=Safe(), ", True),
        ("transport=httpx.AsyncHTTPTransport(retries=3), ", True),
    ],
)
def test_a_client_of_an_application_in_this_process_opens_no_connection(write, options, some):
    folder = write(CLIENT.format(options=options))

    found = audit([folder], root=folder, rules=RULE, processes=1).findings

    assert bool(found) is some

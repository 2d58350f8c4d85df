"""Coroutines that run where they are handed to what waits for them."""

import pytest

from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

RULE = [one for one in RULES if one.code == "RW702"]
SOURCE = """
import asyncio
import requests
from asyncio import gather as together
from fastapi import FastAPI
from shop import keep

app = FastAPI()

async def ask(number):
    return requests.get("https://x", timeout=3)

async def other(): ...

@app.get("/prices")
async def prices():
    {line}
"""


@pytest.fixture
def is_found(write):
    def ask(line: str) -> bool:
        folder = write(SOURCE.format(line=line))
        return bool(audit([folder], root=folder, rules=RULE, processes=1).findings)

    return ask


@pytest.mark.parametrize(
    "line",
    [
        "await ask(1)",
        "return await asyncio.gather(other(), ask(1))",
        "one, two = await together(ask(1), other())",
        "await asyncio.wait_for(ask(1), 3)",
        "await asyncio.shield(ask(1))",
    ],
)
def test_a_coroutine_runs_where_it_is_waited_for(is_found, line):
    assert is_found(line)


@pytest.mark.parametrize(
    "line", ["keep(ask(1))", "await keep(ask(1))", "waiting = asyncio.gather(ask(1))", "ask(1)"]
)
def test_what_nobody_is_seen_to_wait_for_is_not_followed(is_found, line):
    assert not is_found(line)

"""Functions that are handed to a helper, which calls them on the event loop."""

import pytest

from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

RULE = [one for one in RULES if one.code in {"RW701", "RW702"}]
SOURCE = """
import asyncio
import functools
from collections.abc import Callable
import requests
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

app = FastAPI()

def ask(key: str, check: bool = True) -> bool:
    if check:
        requests.get(f"https://x/{{key}}", timeout=3)
    return True

async def ask_well(key: str) -> bool:
    return True

class Handler:
    def __init__(self, key: str):
        self.key = key

    async def post(self, *args):
        return requests.get(self.key, timeout=3)

    async def get(self, *args):
        return self.key

{helper}

@app.get("/files/{{key}}")
async def file(key: str):
    {calls}
    return {{}}
"""
PLAIN = "def helped(do, *args):\n    return do(*args)"
TYPED = "def helped(do: Callable[..., bool], *args):\n    return do(*args)"
TRIED = (
    "async def helped(do, *args):\n    try:\n        return await do(*args)\n"
    "    except ValueError:\n        return None"
)
TWICE = (
    "def inner(work, *args):\n    return work(*args)\n\n"
    "def helped(do, *args):\n    return inner(do)"
)
THREAD = "async def helped(do, *args):\n    return await asyncio.to_thread(do, *args)"
POOL = "async def helped(do, *args):\n    return await run_in_threadpool(lambda: do(*args))"
KEPT = "def helped(do, *args):\n    app.state.do = do"
OTHER = "def helped(do, *args):\n    do = print\n    return do(*args)"


@pytest.fixture
def count(write):
    def ask(helper: str, *calls: str) -> int:
        folder = write(SOURCE.format(helper=helper, calls="\n    ".join(calls)))
        return len(audit([folder], root=folder, rules=RULE, processes=1).findings)

    return ask


@pytest.mark.parametrize("helper", [PLAIN, TYPED, TWICE])
@pytest.mark.parametrize(
    "given",
    [
        *("ask, key", "requests.get, 'https://x'", "lambda: ask(key)", "do=ask"),
        *("functools.partial(ask, key)", "lambda: requests.get('https://x', timeout=3)"),
    ],
)
def test_what_a_helper_calls_here_is_found(count, helper, given):
    assert count(helper, f"helped({given})") == 1


@pytest.mark.parametrize("helper", [TRIED])
def test_a_coroutine_that_it_awaits_is_found(count, helper):
    assert count(helper, "await helped(Handler(key).post)") == 1
    assert count(helper, "handler = Handler(key)", "await helped(handler.post)") == 1
    assert count(helper, "await helped(Handler(key).get)") == 0
    assert count(helper, "await helped(ask_well, key)") == 0


@pytest.mark.parametrize("helper", [THREAD, POOL, KEPT, OTHER])
@pytest.mark.parametrize("given", ["ask, key", "requests.get, 'https://x'", "lambda: ask(key)"])
def test_what_it_does_not_call_here_is_quiet(count, helper, given):
    assert count(helper, f"await helped({given})") == 0


def test_each_call_has_its_own_function(count):
    assert count(PLAIN, "helped(print, key)", "helped(ask, key)") == 1
    assert count(PLAIN, "helped(ask, key)", "helped(print, key)", "helped(ask, key)") == 2


def test_what_is_bound_decides(count):
    assert count(PLAIN, "helped(lambda: ask(key, check=False))") == 0
    assert count(PLAIN, "helped(functools.partial(ask, key, check=False))") == 0
    assert count(PLAIN, "helped(functools.partial(ask, check=True), key)") == 1

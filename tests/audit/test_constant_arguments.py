"""Branches that the constants of a call decide: what is behind them is not run, or is."""

import pytest

from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

RULE = [rule for rule in RULES if rule.code == "RW702"]
SOURCE = """
from fastapi import FastAPI
import requests

app = FastAPI()

def exists(key: str) -> bool:
    return requests.head(f"https://x/{{key}}", timeout=3).ok

class Store:
    def address(self, key: str, check: bool = True, how: str = "long", far=None) -> str:
        {body}
        return f"https://x/{{key}}"

store = Store()

@app.get("/files/{{key}}")
async def file(key: str, asked: bool = False):
    {calls}
    return {{}}
"""


@pytest.fixture
def lines(write):
    def ask(body: str, *calls: str) -> int:
        text = SOURCE.format(body=body.replace("\n", "\n        "), calls="\n    ".join(calls))
        folder = write(text)
        return len(audit([folder], root=folder, rules=RULE, processes=1).findings)

    return ask


BEHIND = [
    "if check and not exists(key): return ''",
    "found = check and exists(key)",
    "found = not check or exists(key)",
    "found = exists(key) if check else True",
    "found = True if not check else exists(key)",
    "if not check:\n    return key\nexists(key)",
    "with open(key):\n    if not check:\n        return key\n    exists(key)",
    "if key:\n    if check:\n        exists(key)",
    "if key and check:\n    exists(key)",
]


@pytest.mark.parametrize("body", BEHIND)
def test_a_constant_argument_decides(lines, body):
    assert lines(body, "store.address(key, check=False)") == 0
    assert lines(body, "store.address(key, False)") == 0
    assert lines(body, "store.address(key)") == 1
    assert lines(body, "store.address(key, check=True)") == 1
    assert lines(body, "store.address(key, check=asked)") == 1


@pytest.mark.parametrize(
    ("body", "quiet", "found"),
    [
        ("if how == 'long': exists(key)", "how='short'", "how='long'"),
        ("if how != 'short': exists(key)", "how='short'", "how='long'"),
        ("if how in ('long', 'full'): exists(key)", "how='short'", "how='full'"),
        ("if how == 'short': return key\nexists(key)", "how='short'", "how='long'"),
        ("if far is not None and exists(far): return far", "far=None", "far='a'"),
    ],
)
def test_texts_and_none_decide_too(lines, body, quiet, found):
    assert lines(body, f"store.address(key, {quiet})") == 0
    assert lines(body, f"store.address(key, {found})") == 1


def test_each_call_is_judged_by_its_own_constants(lines):
    body = BEHIND[0]
    off, on = "store.address(key, check=False)", "store.address(key)"

    assert lines(body, off, off) == 0
    assert lines(body, off, on) == 1
    assert lines(body, on, off) == 1
    assert lines(body, on, off, on) == 2
    assert lines(body, off, on, on) == 2


DEEP = """
from fastapi import FastAPI
import requests

app = FastAPI()

def find(name: str):
    return requests.get(f"https://x/{name}", timeout=3)

def bucket(name: str, quick: bool = False):
    return None if quick else find(name)

def put(name: str, prefix: str = "", quick: bool = False):
    return bucket(prefix + name, quick)

@app.get("/files/{key}")
async def file(key: str):
    put(key)
    put(key, prefix="a")
    put(key, prefix=f"{key}/")
    put(key, "b", True)
    put(key, quick=True)
    return {}
"""


def test_a_helper_further_down_is_judged_for_each_call(write):
    folder = write(DEEP)
    found = audit([folder], root=folder, rules=RULE, processes=1).findings

    assert [one.line for one in found] == [17, 18, 19]


def test_each_call_is_judged_by_its_own_texts(lines):
    body = "if how == 'long': exists(key)"
    off, on = "store.address(key, how='short')", "store.address(key, how='long')"

    assert lines(body, off, on) == 1
    assert lines(body, on, off, on) == 2
    assert lines(body, *(f"store.address(key, how='{number}')" for number in range(40))) == 0


@pytest.mark.parametrize(
    "body",
    [
        "check = exists\nif check and exists(key): return ''",
        "if check or exists(key): return ''",
        "found = exists(key) and check",
        "if exists(key) and check: return ''",
        "if not check:\n    print(key)\nexists(key)",
        "if key or check:\n    exists(key)",
        "if isinstance(check, bool): exists(key)",
    ],
)
def test_what_is_run_anyhow_is_found(lines, body):
    assert lines(body, "store.address(key, check=False)") == 1

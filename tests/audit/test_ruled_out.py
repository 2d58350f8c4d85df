"""Which branches the declared types of a parameter leave out."""

import pytest

from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

RULE = [rule for rule in RULES if rule.code == "RW702"]
SOURCE = """
from pathlib import Path
from typing import Union
from fastapi import FastAPI
import requests

app = FastAPI()
Data = bytes | Path

def write(data{declared}, other: bytes = b""):
    {first}
    if isinstance({tested}, Path):
        other = b""
    elif isinstance(data, {second}):
        other = data
    else:
        requests.post("https://x", data=data, timeout=3)

@app.post("/files")
async def add(data: bytes):
    write(data)
"""


@pytest.fixture
def some(write):
    def ask(declared=": bytes | Path", tested="data", second="bytes", first="pass") -> bool:
        source = SOURCE.format(declared=declared, tested=tested, second=second, first=first)
        folder = write(source)
        return bool(audit([folder], root=folder, rules=RULE, processes=1).findings)

    return ask


@pytest.mark.parametrize(
    ("declared", "second"),
    [
        (": bytes | Path", "bytes"),
        (": Union[Path, bytes]", "bytes"),
        (": Data", "bytes"),
        (": bytes", "bytes"),
        (": bytes | Path | str", "(bytes, str)"),
        (": 'bytes | Path'", "bytes"),
    ],
)
def test_what_no_declared_type_gets_to_is_not_run(some, declared, second):
    assert not some(declared, second=second)


@pytest.mark.parametrize(
    "declared", ["", ": bytes | Path | None", ": bytes | str", ": File | Path"]
)
def test_a_type_that_is_left_or_not_known_gets_there(some, declared):
    assert some(declared)


def test_a_test_of_another_name_or_value_says_nothing(some):
    assert some(tested="other")
    assert some(first="data = read(data)")

"""Files that a helper removes only after a failure: few, and rarely."""

import pytest

from roadworthy.audit.model.finding import Confidence
from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

RULE = [one for one in RULES if one.code == "RW702"]
SOURCE = """
import shutil
import requests
from fastapi import FastAPI

app = FastAPI()

def clear(folder: str) -> None:
    {does}

async def convert(folder: str) -> None:
    {body}

@app.post("/files/{{folder}}")
async def change(folder: str):
    await convert(folder)
"""
REMOVES = "shutil.rmtree(folder)"
TELLS = "requests.post('https://x', timeout=3)"
AFTER = "try:\n        print(folder)\n    except OSError:\n        clear(folder)\n        raise"
BEFORE = "try:\n        clear(folder)\n    except OSError:\n        print(folder)"
LAST = "try:\n        print(folder)\n    finally:\n        clear(folder)"


@pytest.mark.parametrize(
    ("does", "body", "confidence"),
    [
        (REMOVES, AFTER, Confidence.LOW),
        (REMOVES, BEFORE, Confidence.MEDIUM),
        (REMOVES, LAST, Confidence.MEDIUM),
        (REMOVES, "clear(folder)", Confidence.MEDIUM),
        (TELLS, AFTER, Confidence.HIGH),
    ],
)
def test_what_is_removed_after_a_failure_is_doubted(write, does, body, confidence):
    folder = write(SOURCE.format(does=does, body=body))
    found = audit([folder], root=folder, rules=RULE, processes=1).findings

    assert [one.confidence for one in found] == [confidence]

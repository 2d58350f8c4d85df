"""Where a client for each request is a mistake, and where it costs nothing."""

import pytest

from roadworthy.audit.model.finding import Confidence
from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

RULE = [one for one in RULES if one.code == "RW205"]
ROUTE = """
import httpx
from fastapi import FastAPI

app = FastAPI()

@app.get("{path}")
async def get():
    async with httpx.AsyncClient() as client:
        return (await client.get("https://x.example", timeout=3)).json()
"""


@pytest.mark.parametrize(
    ("path", "confidence"),
    [
        *[("/prices", Confidence.HIGH), ("/blogs/in", Confidence.HIGH), ("/x/logins_of", None)],
        *[("/auth/callback", Confidence.LOW), ("/login", Confidence.LOW)],
        *[("/oauth/{provider}", Confidence.LOW), ("/callbacks-of-shelves", Confidence.HIGH)],
    ],
)
def test_a_client_of_a_login_is_hardly_worth_a_word(write, path, confidence):
    folder = write(ROUTE.replace("{path}", path))

    found = audit([folder], root=folder, rules=RULE, processes=1).findings

    assert [one.confidence for one in found] == [confidence or Confidence.HIGH]

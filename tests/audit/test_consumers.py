"""Texts that only consumers of a queue raise: no client reads them."""

import pytest

from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

RULE = [one for one in RULES if one.code == "RW301"]
SOURCE = """
from fastapi import Depends, FastAPI, HTTPException
from shop import broker, mail, main

app = FastAPI()

class Mailer:
    async def deliver(self, to: str):
        try:
            await mail.send(to)
        except Exception as error:
            raise HTTPException(502, f"Not sent: {{error}}")

    async def welcome(self, to: str):
        await self.deliver(to)

{above}
async def user(to: str, mailer: Mailer):
    await mailer.welcome(to)
{more}
"""


@pytest.fixture
def is_found(write):
    def ask(above: str, more: str = "") -> bool:
        folder = write(SOURCE.format(above=above, more=more))
        return bool(audit([folder], root=folder, rules=RULE, processes=1).findings)

    return ask


@pytest.mark.parametrize(
    "above", ["@broker.task", "@broker.subscriber('users')", "@broker.actor()"]
)
def test_what_only_a_consumer_calls_is_quiet(is_found, above):
    assert not is_found(above)


@pytest.mark.parametrize(
    ("above", "more"),
    [
        ("@app.post('/users')", ""),
        ("", ""),
        ("@main.watched", ""),
        ("@broker.task", "@app.post('/x')\nasync def x(m: Mailer): await m.welcome('x')"),
        ("@broker.task", "@app.post('/x')\nasync def x(m: Mailer): await m.deliver('x')"),
        ("@broker.task", "@app.post('/x')\nasync def x(m: Mailer): await main(m.deliver)"),
        ("@broker.task", "@app.post('/x')\nasync def x(to=Depends(Mailer().deliver)): ..."),
        ("@broker.task", "app.add_api_route('/x', Mailer().welcome)"),
    ],
)
def test_what_a_request_may_lead_to_is_found(is_found, above, more):
    assert is_found(above, more)

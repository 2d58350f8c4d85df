"""What is raised where nobody waits, in consumers, timers and tasks: no client reads it."""

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


STARTS = [
    "def x(background: BackgroundTasks): background.add_task(user, 'a', Mailer())",
    "def x(): Thread(target=user, args=('a', Mailer())).start()",
    "async def x(): asyncio.create_task(user('a', Mailer()))",
    "def x(): scheduler.add_job(user, 'cron', hour=3)",
    "def x(): queue.enqueue(user, 'a')",
]


@pytest.mark.parametrize("start", STARTS)
def test_what_is_only_started_beside_a_request_is_quiet(is_found, start):
    head = "import asyncio\nfrom threading import Thread\nfrom fastapi import BackgroundTasks\n"

    assert not is_found("", f"{head}@app.post('/x')\n{start}")
    called = "@app.post('/y')\nasync def y(m: Mailer): await user('b', m)"
    assert is_found("", f"{head}@app.post('/x')\n{start}\n{called}")


@pytest.mark.parametrize("above", ["@app.scheduled_job('cron')", "@repeat_every(seconds=60)"])
def test_what_a_clock_calls_is_quiet(is_found, above):
    assert not is_found(above)


@pytest.mark.parametrize(
    "start",
    [
        "async def x(m: Mailer):\n    task = asyncio.create_task(user('a', m))\n    await task",
        "async def x(m: Mailer): await asyncio.gather(user('a', m), user('b', m))",
        "async def x(m: Mailer): await asyncio.create_task(user('a', m))",
    ],
)
def test_a_task_that_is_waited_for_is_the_request_s(is_found, start):
    assert is_found("", f"import asyncio\n@app.post('/x')\n{start}")


EATEN = """
from fastapi import FastAPI, HTTPException
from celery import Celery

app, celery = FastAPI(), Celery()

def find(number: int):
    raise HTTPException(404, "none")

{above}
def repeat(number: int):
    try:
        find(number)
    except Exception:
        raise HTTPException(400, "failed")
{more}
"""


@pytest.mark.parametrize(
    ("above", "more", "found"),
    [
        ("@app.post('/x')", "", True),
        ("@celery.task", "", False),
        ("", "@celery.task\ndef again(): repeat(3)", False),
        ("", "@celery.task\ndef again(): repeat(3)\n@app.post('/x')\ndef x(): repeat(4)", True),
    ],
)
def test_no_status_is_changed_where_no_client_is(write, above, more, found):
    rule = [one for one in RULES if one.code == "RW302"]
    folder = write(EATEN.format(above=above, more=more))

    assert bool(audit([folder], root=folder, rules=rule, processes=1).findings) is found

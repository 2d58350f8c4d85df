"""A service with jobs in every state, for the tests that look at its pages in a browser.

uvicorn serves it: `console.busy:create_app`, with the URL of a database in the environment.
"""

import os
from datetime import timedelta
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request

from console import shop
from console.shop import JOBS, PAUSES, WORKERS, ago, job, put, worker
from roadworthy import problems
from roadworthy.console import EVERY_ACTION, Viewer, console
from roadworthy.database import Database
from roadworthy.jobs import Every, Jobs, task
from roadworthy.jobs.table.tables import attempts, schedules
from roadworthy.lifespan import lifespan
from roadworthy.problem_log import ProblemLog
from roadworthy.tables import metadata

__all__ = ["create_app", "fill"]

SECRET = "hunter2-and-more"
FRAMES = 'Traceback (most recent call last):\n  File "/app/shop/mail.py", line 41, in send'


@task(name="shop.mail.send", queue="mail", attempts=5)
async def send(to: str) -> None: ...


@task(name="shop.invoices.render")
async def render(order_id: str) -> None: ...


@task(name="shop.reports.nightly", schedule=Every(timedelta(hours=1)))
async def nightly() -> None: ...


def viewer(request: Request) -> Viewer:
    """Let everybody in; who says so may only look."""
    return Viewer("ana", actions=() if "reader" in request.cookies else EVERY_ACTION)


def create_app() -> FastAPI:
    """Return the service; it runs no jobs."""
    db = Database(os.environ["URL"])
    jobs = Jobs(db, tasks=[send, render, nightly], run=False, version="1.4.1")
    app = FastAPI(lifespan=lifespan(db, jobs, ProblemLog(db)))
    problems.install(app)
    app.include_router(console(access=viewer, title="Shop operations"), prefix="/ops")
    return app


async def fill(db: Database) -> dict[str, str]:
    """Put jobs of every kind into a database that has no tables yet; return some of their ids."""
    async with db.engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)
    mail = {"task": send.name, "queue": "mail"}
    dead = job(
        "dead",
        **mail,
        attempts=3,
        started_at=ago(minutes=12),
        finished_at=ago(minutes=11),
        enqueued_at=ago(hours=2),
        request_id="req-1",
        worker="web-1-81-ab12",
        error_code="SMTPServerDisconnected",
        error=f"SMTPServerDisconnected: smtp://shop:{SECRET}@mail.example is gone",
        arguments=f'{{"to":"<b>ann</b>@example.com","smtp":{{"password":"{SECRET}"}}}}',
        unique_of="k",
    )
    running = job(
        "running",
        task=render.name,
        worker="web-1-81-ab12",
        started_at=ago(seconds=9),
        leased_until=shop.now() + timedelta(seconds=30),
        progress=0.4,
        progress_note="page 4 of 10",
        request_id="req-1",
    )
    others = [
        job("queued", **mail, attempts=0, run_at=ago(minutes=4)),
        job("queued", task=render.name, attempts=0),
        job("scheduled", **mail, attempts=2, run_at=shop.now() + timedelta(minutes=5)),
        job("scheduled", task=render.name, attempts=0, run_at=shop.now() + timedelta(hours=3)),
        job("parked", task="shop.old.task", attempts=0, error_code="UNKNOWN_TASK"),
        job("blocked", task=render.name, attempts=0, limit_key="render"),
        job("cancelled", task=render.name, finished_at=ago(minutes=3), error_code="CANCELLED"),
        *(
            job("dead", task=render.name, finished_at=ago(minutes=n), error_code="FontMissing")
            for n in range(1, 4)
        ),
        *(_done(n) for n in range(40)),
    ]
    await put(db, JOBS, dead, running, *others)
    await put(db, attempts, *(_attempt(dead["id"], number) for number in (1, 2, 3)))
    await put(
        db, PAUSES, {"kind": "queue", "name": "slow", "since": ago(hours=1), "paused_by": "ben"}
    )
    await put(
        db,
        WORKERS,
        worker("web-1-81-ab12", host="web-1", pid=81, queues='["default", "mail"]'),
        worker("web-2-7-ff00", host="web-2", expected_at=ago(minutes=4), seen_at=ago(minutes=5)),
    )
    await put(
        db,
        schedules,
        {
            "task": nightly.name,
            "spec": "Every 1:00:00",
            "next_at": shop.now() + timedelta(minutes=20),
            "ticks": 41,
            "last_at": ago(minutes=40),
        },
    )
    return {"dead": dead["id"], "running": running["id"]}


def _done(number: int) -> dict[str, Any]:
    at = ago(minutes=number * 1.4)
    return job("succeeded", task=send.name, queue="mail", started_at=at, finished_at=at)


def _attempt(job_id: str, number: int) -> dict[str, Any]:
    began = ago(minutes=60 - number * 15)
    return {
        "job_id": job_id,
        "id": f"{job_id[:34]}{number}",
        "attempt": number,
        "began_at": began,
        "ended_at": began + timedelta(seconds=2.5),
        "worker": "web-1-81-ab12",
        "error_code": "SMTPServerDisconnected",
        "error": f"SMTPServerDisconnected: smtp://shop:{SECRET}@mail.example is gone",
        "traceback": FRAMES,
    }

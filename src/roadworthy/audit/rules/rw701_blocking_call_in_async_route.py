"""RW701: a route on the event loop makes a call that waits.

The calls that wait, of each library, are in `audit/dataflow/blocking_calls.py`.
"""

from collections.abc import Iterator
from typing import Final

from roadworthy.audit.analyses.stalls import Stall, on_loop, once_a_call, stalls
from roadworthy.audit.fastapi.loop_entries import LoopEntry
from roadworthy.audit.model.finding import Confidence, Severity
from roadworthy.audit.model.rule import Example, Hit, Rule

__all__ = ["RULE"]


def _check(route: LoopEntry) -> Iterator[Hit]:
    for function in on_loop(route):
        for stall in once_a_call(one for one in stalls(function) if _counts(one)):
            yield Hit(
                place=stall.function.place(stall.reached.call.node),
                message=_message(stall),
                confidence=_confidence(stall),
            )


def _counts(stall: Stall) -> bool:
    return stall.is_direct and stall.effect.kind != "database"  # which RW703 finds


def _confidence(stall: Stall) -> Confidence:
    return Confidence.MEDIUM if stall.effect.kind in {"files", "work"} else Confidence.HIGH


def _message(stall: Stall) -> str:
    return (
        f"{stall.text} {stall.effect.said} on the event loop: until it returns, "
        "no other request is answered."
    )


_REQUESTS = Example(
    """
import requests
from fastapi import FastAPI

app = FastAPI()

@app.post("/orders/{number}/parcel")
async def send_parcel(number: int):
    answer = requests.post("https://parcels.example/new", json={"order": number})  # found
    return answer.json()
""",
    "While the parcel service thinks, nobody else is served.",
)

_SESSION = Example("""
import time
import requests
from fastapi import APIRouter

router = APIRouter()
parcels = requests.Session()

@router.get("/parcels/{number}")
async def parcel(number: int):
    while (answer := parcels.get(f"https://parcels.example/{number}")).status_code == 202:  # found
        time.sleep(1)  # found
    return answer.json()
""")

_DEPENDENCY = Example(
    """
import subprocess
from fastapi import Depends, FastAPI

app = FastAPI()

async def version():
    return subprocess.check_output(["git", "describe"])  # found

@app.get("/version")
def show(version: bytes = Depends(version)):
    return {"version": version.decode()}
""",
    "The route runs in a thread, and its dependency on the event loop.",
)

_OBJECTS = Example("""
import boto3
from fastapi import FastAPI

app = FastAPI()
client = httpx.AsyncClient()
objects = boto3.client("s3")

@app.get("/labels/{number}")
async def label(number: int):
    found = objects.head_object(Bucket="labels", Key=str(number))  # found
    return {"bytes": found["ContentLength"]}
""")

_IN_A_THREAD = Example("""
import asyncio
import requests
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

app = FastAPI()

@app.post("/orders/{number}/parcel")
async def send_parcel(number: int):
    answer = await run_in_threadpool(requests.post, f"https://parcels.example/{number}")
    await asyncio.to_thread(lambda: requests.get("https://parcels.example/ping", timeout=3))
    return answer.json()
""")

_SYNC_ROUTE = Example("""
import requests
from fastapi import FastAPI

app = FastAPI()

@app.post("/orders/{number}/parcel")
def send_parcel(number: int):
    return requests.post(f"https://parcels.example/{number}", timeout=3).json()
""")

_ASYNC_CLIENT = Example("""
import boto3
import httpx
from fastapi import FastAPI
from openai import AsyncOpenAI

app = FastAPI()
client = httpx.AsyncClient()
objects = boto3.client("s3")

@app.post("/orders/{number}/parcel")
async def send_parcel(number: int):
    answer = await client.post(f"https://parcels.example/{number}")
    link = objects.generate_presigned_url("get_object", {"Bucket": "labels", "Key": str(number)})
    return {"parcel": answer.json(), "label": link, "model": AsyncOpenAI().api_key is not None}
""")

RULE: Final = Rule(
    code="RW701",
    name="blocking-call-in-async-route",
    severity=Severity.MEDIUM,
    looks="loop",
    check=_check,
    sources=rb"starlette",
    summary="A route declared with `async def` makes a call that waits without `await`.",
    why="""An `async def` route shares one thread with every other request of its process.
A call that waits for another server, a process or a disk and is not awaited stops them all,
health checks too: one slow neighbour, and the whole process is away. Dependencies that are
`async def` are the same, and so are WebSockets, middleware and handlers of exceptions.""",
    mend="Write `def` instead of `async def`, or `await run_in_threadpool(call, ...)`.",
    ours="Jobs of `roadworthy.jobs` take what need not be done before the answer.",
    bad=(_REQUESTS, _SESSION, _DEPENDENCY, _OBJECTS),
    good=(_IN_A_THREAD, _SYNC_ROUTE, _ASYNC_CLIENT),
)
"""Finds blocking calls in async routes."""

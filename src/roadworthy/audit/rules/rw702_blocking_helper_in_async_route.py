"""RW702: a route on the event loop calls a function that waits further down."""

from collections.abc import Iterator
from typing import Final

from roadworthy.audit.analyses.stalls import Stall, on_loop, once_a_call, stalls
from roadworthy.audit.fastapi.loop_entries import LoopEntry
from roadworthy.audit.model.finding import Confidence, Severity
from roadworthy.audit.model.rule import Example, Hit, Rule

__all__ = ["RULE"]

_NEAR: Final = 2


def _check(route: LoopEntry) -> Iterator[Hit]:
    for function in on_loop(route):
        for stall in once_a_call(one for one in stalls(function) if _counts(one)):
            yield Hit(
                place=stall.function.place(stall.first.call.node),
                message=_message(stall),
                confidence=_confidence(stall),
                flow=stall.flow(f"{function.name}() runs on the event loop"),
            )


def _counts(stall: Stall) -> bool:
    return not stall.is_direct and stall.effect.kind != "database"  # which RW703 finds


def _confidence(stall: Stall) -> Confidence:
    if stall.effect.kind == "files" and _is_only_cleaning_up(stall):
        return Confidence.LOW
    near = len(stall.reached.chain) <= _NEAR and stall.effect.kind not in {"files", "work"}
    return Confidence.HIGH if near else Confidence.MEDIUM


def _is_only_cleaning_up(stall: Stall) -> bool:
    """Return whether files are removed only where something before has failed."""
    way = (*stall.reached.chain, stall.reached)
    return any(any(one.call.blocks("handler")) for one in way)


def _message(stall: Stall) -> str:
    where = stall.reached.scope.name
    return (
        f"This leads to {stall.text} in {where}(), which {stall.effect.said} on the event "
        "loop: until it returns, no other request is answered."
    )


_ONE_HOP = Example("""
# file: shop/parcels.py
import requests

def send(number: int) -> dict:
    return requests.post(f"https://parcels.example/{number}", timeout=3).json()

# file: shop/api.py
from fastapi import FastAPI
from shop import parcels

app = FastAPI()

@app.post("/orders/{number}/parcel")
async def send_parcel(number: int):
    return parcels.send(number)  # found
""")

_TWO_HOPS = Example(
    """
# file: shop/labels.py
import shutil
import smtplib

class Printer:
    def clean(self) -> None:
        self._empty("/srv/labels")

    def _empty(self, folder: str) -> None:
        shutil.rmtree(folder)

async def tell(address: str) -> None:
    smtplib.SMTP("mail.example").sendmail("shop@example.com", address, "sent")

# file: shop/api.py
from fastapi import APIRouter, Depends
from shop.labels import Printer, tell

router = APIRouter()

@router.delete("/labels")
async def delete_labels(printer: Printer = Depends(Printer)):
    printer.clean()  # found
    return {}

@router.post("/orders/{number}/mail")
async def mail(number: int, address: str):
    await tell(address)  # found
    return {"order": number}
""",
    "An `async def` between them changes nothing.",
)

_IN_A_THREAD = Example("""
import asyncio
import requests
from fastapi import FastAPI

app = FastAPI()

def send(number: int) -> dict:
    return requests.post(f"https://parcels.example/{number}", timeout=3).json()

async def send_aside(number: int) -> dict:
    return await asyncio.to_thread(send, number)

@app.post("/orders/{number}/parcel")
async def send_parcel(number: int):
    return await send_aside(number)
""")

_REMEMBERED = Example("""
from functools import lru_cache
import requests
from fastapi import FastAPI
from openai import OpenAI

app = FastAPI()

@lru_cache
def keys() -> dict:
    return requests.get("https://accounts.example/keys", timeout=3).json()

def client() -> OpenAI:
    return OpenAI(api_key="none")

@app.get("/me")
async def me():
    return {"keys": keys(), "client": client().base_url}
""")

_BRANCHES = Example(
    """
# file: shop/runs.py
import subprocess
import time
import requests

class Run:
    def __init__(self, name: str, *, read_only: bool = False, origin: str | None = None):
        if not read_only:
            subprocess.run(["git", "status"])
        if origin is not None:
            requests.get(origin, timeout=3)

def prepare(name: str, by_system: bool) -> None:
    if by_system:
        time.sleep(1)

async def schedule(name: str, by_system: bool = False) -> None:
    prepare(name, by_system)

class Store:
    def __init__(self):
        self.client = None
        self.keys = None

    def connect(self):
        while self.client is None:
            time.sleep(5)
            self.client = object()

    def find(self, name: str):
        if self.client is None:
            self.connect()
        return self.client

    def all_keys(self):
        if self.keys is not None:
            return self.keys
        self.keys = requests.get("https://keys.example", timeout=3).json()
        return self.keys

# file: shop/api.py
from fastapi import APIRouter
from shop.runs import Run, Store, schedule

router = APIRouter()
store = Store()

@router.get("/runs/{name}")
async def run(name: str):
    store.find(name)
    store.all_keys()
    await schedule(name)
    return Run(name, read_only=True)

@router.post("/runs/{name}")
async def add_run(name: str):
    return Run(name)  # found
""",
    "A branch that this call never takes is none, and what is done once is no request's.",
)

_A_DEPENDENCY_S_CLIENT = Example(
    """
# file: shop/files.py
from typing import Generator
import boto3
from fastapi import Depends

def client() -> Generator:
    made = boto3.client("s3")
    yield made

class Files:
    def __init__(self, s3=Depends(client)):
        self.s3 = s3

    async def remove(self, name: str) -> None:
        self.s3.delete_object(Bucket="shop", Key=name)

# file: shop/api.py
from fastapi import APIRouter, Depends
from shop.files import Files

router = APIRouter()

@router.delete("/files/{name}")
async def remove_file(name: str, files: Files = Depends()):
    await files.remove(name)  # found
    return {}
""",
    "What `Depends` delivers is a synchronous client.",
)

RULE: Final = Rule(
    code="RW702",
    name="blocking-helper-in-async-route",
    severity=Severity.MEDIUM,
    looks="loop",
    check=_check,
    sources=rb"starlette",
    summary="A route declared with `async def` calls code that waits without `await`.",
    why="""A function without `async` that an `async def` route calls runs on the event
loop, and so does everything it calls. Where that waits for another server, a process or a
disk, every other request of the process waits with it; nothing at the call shows it.""",
    mend="`await run_in_threadpool(helper, ...)`, or declare the route with `def`.",
    ours="Jobs of `roadworthy.jobs` take what need not be done before the answer.",
    bad=(_ONE_HOP, _TWO_HOPS, _BRANCHES, _A_DEPENDENCY_S_CLIENT),
    good=(_IN_A_THREAD, _REMEMBERED),
)
"""Finds blocking calls in functions that async routes call."""

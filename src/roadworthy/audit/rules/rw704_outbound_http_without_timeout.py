"""RW704: a request to another server may wait for ever."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.model.finding import Confidence, Severity
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source import names
from roadworthy.audit.source.module import Function, Module

__all__ = ["RULE"]

_VERBS: Final = ("get", "post", "put", "patch", "delete", "head", "options", "request")
_WITHOUT: Final = {
    **{f"requests.{verb}": 99 for verb in _VERBS},
    **{f"requests.Session.{verb}": 99 for verb in _VERBS},
    "urllib.request.urlopen": 2,
    "smtplib.SMTP": 3,
    "smtplib.SMTP_SSL": 5,
}
"""Calls that wait for ever by default, and the place of the timeout among their arguments."""
_SWITCHED_OFF: Final = frozenset(
    {
        *(f"httpx.{verb}" for verb in _VERBS),
        *(f"httpx.Client.{verb}" for verb in _VERBS),
        *(f"httpx.AsyncClient.{verb}" for verb in _VERBS),
        *("httpx.Client", "httpx.AsyncClient", "httpx.Timeout"),
    }
)
"""Calls that wait for ever where they are told to; a stream of events may have to."""


def _check(module: Module) -> Iterator[Hit]:
    scopes: list[Module | Function] = [module, *module.functions]
    for scope in scopes:
        for call in scope.flow.calls:
            found = names.resolve(call.node.func, scope)
            if found is not None and _waits(found.name, call.node):
                yield Hit(
                    place=module.place(call.node, scope),
                    message=(
                        "This waits as long as the other side likes: where that hangs, so does "
                        "the request, and its thread or connection with it."
                    ),
                    confidence=(
                        Confidence.MEDIUM if found.name in _SWITCHED_OFF else Confidence.HIGH
                    ),
                )


def _waits(name: str, call: ast.Call) -> bool:
    timeout = next((one.value for one in call.keywords if one.arg == "timeout"), None)
    if name in _SWITCHED_OFF:
        given = call.args[0] if name == "httpx.Timeout" and call.args else timeout
        return isinstance(given, ast.Constant) and given.value is None
    place = _WITHOUT.get(name)
    if place is None or any(one.arg is None for one in call.keywords):  # **options may have it
        return False
    if timeout is not None:
        return isinstance(timeout, ast.Constant) and timeout.value is None
    return len(call.args) <= place


_REQUESTS = Example("""
import requests
from fastapi import FastAPI

app = FastAPI()

@app.get("/parcels/{number}")
def parcel(number: int):
    return requests.get(f"https://parcels.example/{number}").json()  # found
""")

_SWITCHED = Example("""
from urllib.request import urlopen
import httpx
import requests

session = requests.Session()
client = httpx.AsyncClient(timeout=None)  # found

def rates() -> bytes:
    session.post("https://rates.example/", json={}, timeout=None)  # found
    with urlopen("https://rates.example/today") as answer:  # found
        return answer.read()
""")

_TIMED = Example("""
from urllib.request import urlopen
import httpx
import requests
from fastapi import FastAPI

app = FastAPI()
client = httpx.AsyncClient()
options = {"timeout": 3}

@app.get("/parcels/{number}")
def parcel(number: int):
    requests.get("https://parcels.example/", **options)
    urlopen("https://parcels.example/", None, 3)
    return requests.get(f"https://parcels.example/{number}", timeout=(1, 3)).json()
""")

RULE: Final = Rule(
    code="RW704",
    name="outbound-http-without-timeout",
    severity=Severity.MEDIUM,
    looks="module",
    check=_check,
    sources=rb"\bimport requests|from requests |urlopen|smtplib|httpx",
    default=False,
    summary="A request to another server has no timeout.",
    why="""`requests` and `urllib` wait for ever, and `httpx` does so with `timeout=None`. Where
the other side accepts and then says nothing, the call does not end: forty such requests, and
the forty threads in which FastAPI runs routes are all taken.""",
    mend="Add timeout=(3.05, 10), or what the caller can wait.",
    bad=(_REQUESTS, _SWITCHED),
    good=(_TIMED,),
)
"""Finds requests to other servers that have no timeout."""

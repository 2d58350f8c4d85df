"""Count the processor's instructions of one request: `python benchmarks/instructions.py`.

Instructions are the same on a busy machine as on a quiet one, to half a percent: so a change
that makes each request dearer is seen where a clock would see noise. One GET that answers a
small model runs in this process, without a server and without sockets, in Callgrind of
Valgrind (Debian: `apt install valgrind`). What stands beside bare FastAPI is what the parts
cost, each with those above it.

    python benchmarks/instructions.py            # print the table, write results/instructions.md
    python benchmarks/instructions.py --check    # fail where a request costs over 3 % more
    python benchmarks/instructions.py --keep     # what it costs now is right from now on

`python benchmarks/instructions.py count NAME` is what Valgrind runs.
"""

import argparse
import asyncio
import gc
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response
from pydantic import BaseModel

HERE = Path(__file__).parent
KEPT = HERE / "results" / "instructions.json"
TABLE = HERE / "results" / "instructions.md"
REQUESTS = 400
WARM = 200
MORE = 0.03
"""How much more of the instructions of bare FastAPI a request may cost than was kept."""


class Item(BaseModel):
    id: int
    name: str
    quantity: int
    price: str
    attributes: dict[str, str]


ITEM = Item(id=1, name="Widget", quantity=5, price="9.99", attributes={"colour": "red"})


# --- the applications ------------------------------------------------------------------


def plain(**options: Any) -> FastAPI:
    """Return the service without anything of ours."""
    app = FastAPI(**options)

    @app.get("/items/{item_id}")
    async def item(item_id: int, response: Response) -> Item:
        response.headers["etag"] = '"7"'
        return ITEM

    return app


def with_ours(
    *, log: bool, limited: bool = False, conditional: bool = False, telemetry: Any = None
) -> FastAPI:
    """Return the same service under the contract, and what else is chosen."""
    from roadworthy import limits, problems
    from roadworthy.conditional import ConditionalGet
    from roadworthy.observability import RequestLog, Telemetry

    told = None if telemetry is None else Telemetry(**telemetry)
    app = plain(**({} if told is None else {"telemetry": told.options()}))
    if conditional:
        app.add_middleware(ConditionalGet)
    if limited:
        limits.install(app, time=timedelta(seconds=60), at_most=1000)
    problems.install(app, observe=RequestLog(stream=Nowhere()) if log else None)
    if told is not None:
        told.install(app)
    return app


class Nowhere:
    """A stream that keeps nothing: writing is the operating system's."""

    def write(self, text: str, /) -> None: ...


OFF = {"tracing": False, "metrics": False, "logs": False}
CASES: dict[str, Callable[[], FastAPI]] = {
    "bare FastAPI": plain,
    "bare FastAPI, its telemetry off": lambda: plain(telemetry=OFF),
    "contract and request ids": lambda: with_ours(log=False),
    "and the request log": lambda: with_ours(log=True),
    "and limits": lambda: with_ours(log=True, limited=True),
    "and conditional requests": lambda: with_ours(log=True, limited=True, conditional=True),
    "contract, log and metrics": lambda: with_ours(log=True, telemetry={}),
    "contract, log, metrics and traces": lambda: with_ours(log=True, telemetry={"tracing": True}),
}


# --- in Valgrind -----------------------------------------------------------------------


def count(name: str) -> None:
    """Serve requests in this process, and have only the last of them counted."""
    asyncio.run(_count(CASES[name]()))


async def _count(app: FastAPI) -> None:
    state = await _started(app)
    await _ask(app, state, WARM)
    gc.collect()
    gc.disable()  # it would come at another moment each time
    _instrument("on")
    await _ask(app, state, REQUESTS)
    _instrument("off")
    os._exit(0)


async def _started(app: FastAPI) -> dict[str, Any]:
    state: dict[str, Any] = {}
    messages, started = asyncio.Queue[Any](), asyncio.Event()

    async def send(message: Any) -> None:
        started.set()

    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}
    task = asyncio.create_task(app(scope, messages.get, send))
    await messages.put({"type": "lifespan.startup"})
    await started.wait()
    state["kept"] = task
    return state


async def _ask(app: FastAPI, state: dict[str, Any], times: int) -> None:
    headers = [(b"host", b"bench"), (b"accept", b"application/json"), (b"user-agent", b"bench")]
    for _ in range(times):
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 50000),
            "scheme": "http",
            "method": "GET",
            "root_path": "",
            "path": "/items/1",
            "raw_path": b"/items/1",
            "query_string": b"",
            "headers": list(headers),
            "state": {},
        }
        await app(scope, _receive, _send)


async def _receive() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: Any) -> None: ...


def _instrument(word: str) -> None:
    command = ["callgrind_control", f"--instr={word}", str(os.getpid())]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


# --- the report ------------------------------------------------------------------------


def measured(name: str) -> int:
    """Return the instructions of one request of a case."""
    command = [
        *("valgrind", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=/dev/null"),
        *(sys.executable, __file__, "count", name),
    ]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        command, env=environment, stderr=subprocess.PIPE, text=True, timeout=600, check=False
    )
    found = re.search(r"Collected : (\d+)", done.stderr)
    if found is None:
        sys.exit(f"Valgrind counted nothing for {name!r}:\n{done.stderr[-2000:]}")
    return int(found[1]) // REQUESTS


def rows(counted: dict[str, int]) -> list[str]:
    """Return the table."""
    bare = counted["bare FastAPI"]
    lines = [
        "| a request | instructions | of bare FastAPI | its share of that |",
        "|---|--:|--:|--:|",
    ]
    lines += [
        f"| {name} | {number:,} | {number - bare:+,} | {bare / number:.2f} |"
        for name, number in counted.items()
    ]
    return lines


def grown(counted: dict[str, int], kept: dict[str, int]) -> list[str]:
    """Return a sentence for each case that costs more than it may."""
    bare, before = counted["bare FastAPI"], kept["bare FastAPI"]
    return [
        f"{name}: {number / bare:.3f} times bare FastAPI, and {kept[name] / before:.3f} was kept"
        for name, number in counted.items()
        if name in kept and number / bare > kept[name] / before + MORE
    ]


def main() -> None:
    """Count, print, and judge where that is wanted."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="fail where it costs over 3 %% more")
    parser.add_argument("--keep", action="store_true", help="keep what it costs now")
    chosen = parser.parse_args()
    if shutil.which("valgrind") is None:
        sys.exit("Valgrind counts the instructions. Debian, Ubuntu: apt install valgrind")
    counted = {name: measured(name) for name in CASES}
    table = "\n".join(rows(counted))
    print(table)
    if chosen.check and (lines := grown(counted, json.loads(KEPT.read_text()))):
        sys.exit("\n".join(lines))
    if chosen.keep:
        KEPT.write_text(json.dumps(counted, indent=1) + "\n")
    if not chosen.check:
        TABLE.write_text(f"# Instructions of one request\n\n{table}\n\n{__doc__}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["count"]:
        count(sys.argv[2])
    else:
        main()

"""A service that counts: what the tests of several workers serve."""

import os
import time

from fastapi import FastAPI
from opentelemetry import metrics

from roadworthy import problems
from roadworthy.observability import Telemetry

telemetry = Telemetry(resource={"service.name": "counting"})
app = FastAPI(telemetry=telemetry.options())
problems.install(app)
telemetry.install(app)
meter = metrics.get_meter("counting")
hits = meter.create_counter("counting.hits")
took = meter.create_histogram("counting.took", unit="s")
workers = meter.create_up_down_counter("counting.workers")
highest = meter.create_gauge("counting.highest")
workers.add(1)
here: dict[str, int] = {"number": 0}


@app.get("/hit")
def hit() -> int:
    here["number"] += 1
    hits.add(1)
    took.record(0.01)
    highest.set(here["number"])
    return os.getpid()


@app.get("/own")
def own() -> tuple[int, int]:
    return os.getpid(), here["number"]


@app.get("/block")
async def block(seconds: float) -> int:
    time.sleep(seconds)  # noqa: ASYNC251 - this is the fault
    return os.getpid()

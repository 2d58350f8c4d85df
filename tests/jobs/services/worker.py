"""A worker process that runs the jobs of the shop: `python -m jobs.services.worker`."""

import asyncio
import sys

from jobs.services.settings import database, jobs_of
from jobs.services.shop import TASKS
from roadworthy.jobs import run_worker


async def work() -> int:
    db = database()
    ready = "worker running on http://none:0"  # what the fixture waits for
    return await run_worker(
        db,
        jobs_of(db, tasks=TASKS),
        on_ready=lambda: print(ready, flush=True),  # noqa: T201
    )


if __name__ == "__main__":
    sys.exit(asyncio.run(work()))

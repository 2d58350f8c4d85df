"""One version of an application: `python -m jobs.services.versions`, with its schedules.

`EVERY` is the seconds of the schedule of `sync`, or a cron expression; without it the task
has none. `fixed` has the same schedule in each version.
"""

import asyncio
import os
import sys
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from jobs.services.settings import database, jobs_of
from jobs.services.tables import note
from roadworthy.jobs import Cron, Every, Job, run_worker, task


def schedule() -> Every | Cron | None:
    text = os.environ.get("EVERY", "")
    if " " in text:
        return Cron(text)
    return Every(timedelta(seconds=float(text))) if text else None


@task(name="sync", schedule=schedule())
async def sync(job: Job, tx: AsyncSession) -> None:
    await note(tx, "sync", 0.0, job.id)


@task(name="fixed", schedule=Every(timedelta(seconds=1)))
async def fixed(job: Job, tx: AsyncSession) -> None:
    await note(tx, "fixed", 0.0, job.id)


async def work() -> int:
    db = database()
    ready = "worker running on http://none:0"  # what the fixture waits for
    return await run_worker(
        db,
        jobs_of(db, tasks=[sync, fixed]),
        on_ready=lambda: print(ready, flush=True),  # noqa: T201
    )


if __name__ == "__main__":
    sys.exit(asyncio.run(work()))

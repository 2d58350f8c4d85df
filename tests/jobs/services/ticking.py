"""A worker of a task that is due each second: `python -m jobs.services.ticking`."""

import asyncio
import os
import sys
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from jobs.services.settings import database, jobs_of
from jobs.services.tables import note
from roadworthy.jobs import Every, Job, run_worker, task


@task(schedule=Every(timedelta(seconds=1)))
async def tick(job: Job, tx: AsyncSession) -> None:
    await note(tx, job.id, 0.0, str(os.getpid()))


async def work() -> int:
    db = database()
    ready = "worker running on http://none:0"  # what the fixture waits for
    return await run_worker(
        db,
        jobs_of(db, tasks=[tick]),
        on_ready=lambda: print(ready, flush=True),  # noqa: T201
    )


if __name__ == "__main__":
    sys.exit(asyncio.run(work()))

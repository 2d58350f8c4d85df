"""What the tests set in the environment of a service."""

import os
from datetime import timedelta
from typing import Any

from roadworthy.database import Database
from roadworthy.jobs import Embedded, Jobs


def seconds(name: str, default: float) -> timedelta:
    """Return a length of time."""
    return timedelta(seconds=float(os.environ.get(name, default)))


def database() -> Database:
    """Return the database of `URL`, impatient enough for tests."""
    return Database(
        os.environ["URL"],
        pool_size=int(os.environ.get("POOL_SIZE", "10")),
        max_wait=seconds("MAX_WAIT", 5),
        statement_timeout=seconds("STATEMENT_TIMEOUT", 30),
    )


def jobs_of(db: Database, **options: Any) -> Jobs:
    """Return the jobs, run here unless `RUN` is 0."""
    engine = Embedded(
        concurrency=int(os.environ.get("CONCURRENCY", "50")),
        threads=int(os.environ.get("THREADS", "8")),
        processes=int(os.environ.get("PROCESSES", "1")),
        lease=seconds("LEASE", 2),
        grace=seconds("GRACE", 10),
        poll=seconds("POLL", 0) or None,
    )
    return Jobs(db, engine=engine, run=os.environ.get("RUN", "1") == "1", **options)

"""What each extra promises: code that has to run where that extra alone is installed."""

__all__ = ["PROMISES"]

_OPENED = """
import asyncio
from roadworthy.database import Database

async def main() -> None:
    async with Database("sqlite:///promised.db") as db:
        await db.ping()

asyncio.run(main())
"""
_REFUSED = """
from roadworthy.database import Database
Database("postgresql://nobody@127.0.0.1/nothing")
"""
_JOBS = """
import roadworthy.tables
from roadworthy.jobs import Jobs, task
from roadworthy.jobs.operations import retry_all
from roadworthy.testing import Clock, Worker

assert "roadworthy_jobs" in roadworthy.tables.metadata.tables
"""

PROMISES = {
    "none": """
        from roadworthy import conditional, health, lifespan, limits, patching, problems
        from roadworthy.observability import RequestLog
        from roadworthy.problems import Problem
    """,
    "audit": "import roadworthy.audit.fixes.tree, roadworthy.audit.fixes.broad_except",
    "celery": "from roadworthy.jobs.engines.celery import CeleryEngine, celery_task",
    "console": "from roadworthy.console import Token, console",
    "database": """
        import roadworthy.idempotency, roadworthy.problem_log
        from roadworthy.database import Database, Read, SyncTx, Tx
    """,
    "images": "from roadworthy.uploads.images import Reencode, thumbnail",
    "jobs": _JOBS,
    "json-patch": """
        from pydantic import BaseModel
        import roadworthy.patching.json_patch.operations
        from roadworthy.patching import AnyPatch, Patch

        class Item(BaseModel):
            name: str

        Patch[Item]
    """,
    "migrations": "import roadworthy.migrations",
    "postgresql": _REFUSED,
    "rq": "from roadworthy.jobs.engines.rq import RqEngine, rq_task",
    "s3": "from roadworthy.uploads.stores.objects import Objects",
    "settings": "from roadworthy.settings import DatabaseSettings, FilesSettings, JobsSettings",
    "sqlite": _OPENED,
    "telemetry": "from roadworthy.observability import Telemetry; Telemetry()",
    "testing": "from roadworthy.testing.contract import EngineContract",
    "uploads": "from roadworthy.uploads import Disk, Files, Stored, Upload",
    "all": _OPENED + _JOBS,
}
"""`none` is the package alone."""

"""What operators do with jobs: pause, run now, change many at once, and see who did it.

    from roadworthy.jobs import operations

    async with db.begin() as tx:
        await operations.pause(tx, "queue", "mail", by="ana")
    await operations.retry_all(db, operations.JobFilter(state="dead"), by="ana")

The commands of `roadworthy jobs` and the pages of the console are made of these. Each writes
down who did what. What an application does itself with a job is in `roadworthy.jobs`: `get`,
`browse`, `retry`, `cancel`.
"""

from roadworthy.jobs.operations.actions import Action, note, recent
from roadworthy.jobs.operations.backlog import Backlog, backlog
from roadworthy.jobs.operations.bulk import Changed, cancel_all, count, dismiss_all, retry_all
from roadworthy.jobs.operations.dead import Causes, DeadGroup, causes
from roadworthy.jobs.operations.filters import JobFilter
from roadworthy.jobs.operations.pauses import Pause, pause, paused, resume
from roadworthy.jobs.operations.rates import Minute, by_minute, by_queue
from roadworthy.jobs.operations.schedules import ScheduleRecord, run_now, scheduled
from roadworthy.jobs.operations.search import Counted, Found, JobSummary, count_up_to, find
from roadworthy.jobs.operations.single import cancel, dismiss, retry
from roadworthy.jobs.operations.workers import WorkerRecord, running
from roadworthy.jobs.table.paused import Pausable

__all__ = [
    "Action",
    "Backlog",
    "Causes",
    "Changed",
    "Counted",
    "DeadGroup",
    "Found",
    "JobFilter",
    "JobSummary",
    "Minute",
    "Pausable",
    "Pause",
    "ScheduleRecord",
    "WorkerRecord",
    "backlog",
    "by_minute",
    "by_queue",
    "cancel",
    "cancel_all",
    "causes",
    "count",
    "count_up_to",
    "dismiss",
    "dismiss_all",
    "find",
    "note",
    "pause",
    "paused",
    "recent",
    "resume",
    "retry",
    "retry_all",
    "run_now",
    "running",
    "scheduled",
]

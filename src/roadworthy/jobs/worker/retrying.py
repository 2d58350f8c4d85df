"""Retries: whether a failed job is tried again, and how long it waits.

This is the one place that decides it. An option that changes it, such as one for some exceptions
only, is declared in `roadworthy/jobs/task_options.py` and read here. An exception of a task on a
processor (`runs_on="cpu"`) arrives as `FailedInProcess`: its `kind` names the class.
"""

from datetime import timedelta

from roadworthy._internal.durations import duration
from roadworthy.jobs.backoff import Backoff
from roadworthy.jobs.job import GiveUp, TryAgain
from roadworthy.jobs.table.ledger import Claimed
from roadworthy.jobs.task import Task
from roadworthy.jobs.worker import logs
from roadworthy.jobs.worker.failures import describe, passes

__all__ = ["delay_after", "is_tried_again"]


def is_tried_again(
    task: "Task[...] | None", claimed: Claimed, error: BaseException | None = None
) -> bool:
    """Return whether a job has another attempt after the one that has just failed."""
    if task is None or isinstance(error, GiveUp):
        return False
    return claimed.attempts < task.terms.attempts


async def delay_after(task: Task[...], claimed: Claimed, error: BaseException) -> timedelta:
    """Return how long a job waits before its next attempt.

    The exception decides (`TryAgain(delay=...)`), or else the backoff of the task. Both are code of
    the application: if it fails, that is logged, and `Backoff()` decides.
    """
    try:
        asked = error.delay if isinstance(error, TryAgain) else None
        wait = task.terms.backoff.after(claimed.attempts) if asked is None else asked
        return duration(wait, "delay", example="timedelta(minutes=5)")
    except BaseException as wrong:
        if passes(wrong):
            raise
        logs.delay_failed(claimed, await describe(wrong))
        return Backoff().after(claimed.attempts)

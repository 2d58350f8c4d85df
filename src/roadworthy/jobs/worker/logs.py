"""The log lines about jobs.

Each record has the task, the job's id, the attempt, the request id and the trace id as fields
(`extra`); its text begins with what an operator needs first.
"""

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from roadworthy.jobs import tracing
from roadworthy.jobs.table.ledger import EXPIRED, WORKER_LOST, Claimed, Failure
from roadworthy.jobs.task import Task
from roadworthy.jobs.worker.failures import Described

__all__ = [
    "BAD_ARGUMENTS",
    "EXPIRED",
    "WORKER_LOST",
    "cancelled",
    "crashed",
    "database_down",
    "dead",
    "delay_failed",
    "expired",
    "failed",
    "failed_after_completion",
    "failed_around",
    "failed_unstored",
    "handler_failed",
    "hook_failed",
    "lease_lost",
    "not_given_back",
    "not_recorded",
    "notify_failed",
    "parked",
    "recorded_in_other_words",
    "rescued",
    "schedule_failed",
]

BAD_ARGUMENTS: Final = "BAD_ARGUMENTS"
"""The code of a job whose arguments do not fit its task."""

_log = logging.getLogger("roadworthy.jobs")


def failed(job: Claimed, task: Task[...], told: Described, *, again_in: timedelta) -> None:
    """Log an attempt that will be followed by another."""
    code = told.failure.code
    _log.warning(
        "%s failed in attempt %d of %d: %s; again in %.1f s",
        *(job.task, job.attempts, task.terms.attempts, code, again_in.total_seconds()),
        exc_info=told.error,
        extra=_fields(job, told.failure),
    )


def dead(job: Claimed, task: Task[...], failure: Failure, error: BaseException | None) -> None:
    """Log that a job is given up."""
    _log.error(
        "%s is dead after attempt %d of %d: %s; see `roadworthy jobs show %s`",
        *(job.task, job.attempts, task.terms.attempts, failure.code, job.id),
        exc_info=error,
        extra=_fields(job, failure),
    )


def expired(job: Claimed) -> None:
    """Log that a job is not run, because it was not begun in time."""
    text = "%s has expired: nobody began it in time, so it is not run; `roadworthy jobs show %s`"
    _log.warning(text, job.task, job.id, extra=_fields(job, Failure(EXPIRED)))


def failed_after_completion(job: Claimed, told: Described) -> None:
    """Log an exception that was raised after the job was complete."""
    text = "%s raised after job.completing(): the job is done, and is not run again"
    _log.error(text, job.task, exc_info=told.error, extra=_fields(job))


def failed_unstored(job: Claimed, told: Described) -> None:
    """Log that a task failed after a commit; it is not run again."""
    text = "%s failed after the commit: %s; it is not run again"
    extra = _fields(job, told.failure)
    _log.error(text, job.task, told.failure.code, exc_info=told.error, extra=extra)


def cancelled(job: Claimed) -> None:
    """Log that a running job was cancelled."""
    _log.info("%s was cancelled as it ran", job.task, extra=_fields(job))


def lease_lost(job: Claimed) -> None:
    """Log that an attempt does not count, because another worker has the job."""
    text = "%s is run by another worker: the lease of this one had ended"
    _log.warning(text, job.task, extra=_fields(job))


def parked(job: Claimed) -> None:
    """Log that this process has no task with the name and version of a job."""
    _log.warning(
        "%s (version %d) is no task of this worker: its job waits for one that knows it. Name the "
        "task in Jobs(db, tasks=[...]), or cancel the job: `roadworthy jobs cancel %s`",
        *(job.task, job.version, job.id),
        extra=_fields(job),
    )


def rescued(found: Sequence[tuple[str, str, str]]) -> None:
    """Log jobs whose worker is gone."""
    for id_, task, worker in found:
        _log.warning(
            "%s runs again: its worker %s is gone",
            *(task, worker),
            extra={"job_id": id_, "task": task},
        )


def handler_failed(job: Claimed, told: Described) -> None:
    """Log that the `on_dead` handler of a task failed."""
    text = "%s: its on_dead failed; after three times the job is dead without it"
    _log.error(text, job.task, exc_info=told.error, extra=_fields(job))


def hook_failed(task: str, told: Described) -> None:
    """Log that a hook failed."""
    _log.error("on_failure or on_dead of Jobs failed for %s", task, exc_info=told.error)


def delay_failed(job: Claimed, told: Described) -> None:
    """Log that the back-off of a task failed to say how long to wait."""
    text = "%s: its back-off failed (%s); it waits as Backoff() does"
    _log.error(text, job.task, told.failure.code, exc_info=told.error, extra=_fields(job))


def recorded_in_other_words(job: Claimed, error: BaseException) -> None:
    """Log that the database refuses an outcome for its values, for good."""
    text = "%s: its outcome cannot be recorded as it is (%s), and is recorded without its text"
    _log.error(text, job.task, type(error).__name__, exc_info=error, extra=_fields(job))


def schedule_failed(task: str, told: Described) -> None:
    """Log once that the schedule of a task fails, so that nothing is enqueued."""
    text = "%s has no tick: its schedule failed (%s); it is asked again every minute"
    _log.error(text, task, told.failure.text[:200], exc_info=told.error, extra={"task": task})


def not_recorded(error: BaseException, pause: float, *, again: bool) -> None:
    """Log once for each job that its outcome is known but cannot be written."""
    text = "The outcome of a job could not be recorded (%s); again in %.1f s"
    _log.log(logging.DEBUG if again else logging.WARNING, text, type(error).__name__, pause)


def database_down(
    error: BaseException, pause: float, *, again: bool = False, because_of_us: bool = False
) -> None:
    """Log that the table of jobs cannot be used, with one traceback for all lines."""
    why = "a round of their engine failed" if because_of_us else "their table cannot be used"
    level = logging.ERROR if because_of_us else logging.WARNING
    text = "Jobs wait: %s (%s); again in %.1f s"
    _log.log(level, text, why, type(error).__name__, pause, exc_info=None if again else error)


def notify_failed(error: BaseException) -> None:
    """Log that other processes were not notified; they find jobs by themselves."""
    _log.info("Other workers were not told of jobs: %s", type(error).__name__)


def not_given_back(error: BaseException) -> None:
    """Log that jobs stay leased although no worker runs them."""
    text = "Jobs could not be given back; they run again when their leases end"
    _log.warning(text, exc_info=error)


def failed_around(job: Claimed, error: BaseException) -> None:
    """Log a failure outside of the task, which counts as a failed attempt."""
    text = "%s: running its job failed outside of the task (%s)"
    _log.error(text, job.task, type(error).__name__, extra=_fields(job))


def crashed(job: Claimed, error: BaseException) -> None:
    """Log a failure of the engine itself."""
    text = "%s: running its job failed; it runs again when its lease ends"
    _log.error(text, job.task, exc_info=error, extra=_fields(job))


def _fields(job: Claimed, failure: Failure | None = None) -> dict[str, Any]:
    fields = {
        "task": job.task,
        "job_id": job.id,
        "attempt": job.attempts,
        "request_id": job.request_id or "-",
        "trace_id": tracing.trace_id(),
    }
    return {**fields, "error_code": failure.code} if failure else fields

"""`rq_task`: run a function that was written for RQ as a job."""

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Unpack

from roadworthy._internal.extras import extra

with extra("rq", of="roadworthy.jobs.engines.rq"):
    from rq import Retry

from roadworthy.jobs.arguments.returned import refuse_unrun
from roadworthy.jobs.backoff import Backoff
from roadworthy.jobs.engines.adapted import adapted
from roadworthy.jobs.job import GiveUp, Job, TryAgain
from roadworthy.jobs.task import Task, task
from roadworthy.jobs.task_options import TaskOptions

__all__ = ["rq_task"]


@dataclass(frozen=True, slots=True)
class _Intervals(Backoff):
    """The intervals of an RQ `Retry`."""

    seconds: tuple[int, ...] = (0,)

    def after(self, attempt: int) -> timedelta:
        """Return the wait after attempt number `attempt`, counted from 1."""
        return timedelta(seconds=Retry.get_interval(attempt - 1, list(self.seconds)))


def rq_task(
    existing: Callable[..., Any],
    *,
    retry: "Retry | None" = None,
    name: str | None = None,
    **options: Unpack[TaskOptions],
) -> Task[...]:
    """Return a task whose jobs run a function that was written for RQ.

        send = rq_task(existing_function, retry=Retry(max=3, interval=[10, 30, 60]))
        await send.enqueue(tx, order_id=order.id)

    The jobs run in a thread of the process beside a worker. A function that returns a `Retry` is
    run again accordingly. Parameters are stored by their types, and those without a type as any
    JSON. The name of the jobs is `name`, or the name that RQ gives the function. `retry` is the
    argument of `queue.enqueue`; the options of `TaskOptions` go before it.

    Raises:
        TypeError: A parameter cannot be stored; the text names it.
    """
    given: TaskOptions = {}
    if retry is not None:
        given["attempts"] = retry.max + 1
        given["backoff"] = _Intervals(seconds=tuple(retry.intervals))

    def call(job: Job, arguments: dict[str, Any]) -> None:
        result = existing(**arguments)
        if inspect.iscoroutine(result):
            result = asyncio.run(result)
        if isinstance(result, Retry):
            _ask_again(job, result)
        refuse_unrun(job.task, result)

    merged: TaskOptions = {**given, **options}
    known = f"{existing.__module__}.{existing.__qualname__}" if name is None else name
    declare = task(name=known, runs_on="thread", **merged)
    declared: Task[...] = declare(adapted(existing, call))
    return declared


def _ask_again(job: Job, retry: Retry) -> None:
    if job.attempt > retry.max:
        raise GiveUp(f"It may be tried again {retry.max} times.")
    seconds = Retry.get_interval(job.attempt - 1, retry.intervals)
    raise TryAgain("It has returned a Retry.", delay=timedelta(seconds=seconds))

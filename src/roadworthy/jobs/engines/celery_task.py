"""`celery_task`: run the function of a Celery task as a job."""

# Celery has no types.
# pyright: reportMissingTypeStubs=false

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, Unpack

from roadworthy._internal.extras import extra

with extra("celery", of="roadworthy.jobs.engines.celery"):
    from celery import exceptions as celery_exceptions  # type: ignore[import-untyped]

from roadworthy.jobs.arguments.callables import is_async
from roadworthy.jobs.arguments.returned import refuse_unrun
from roadworthy.jobs.engines.adapted import adapted
from roadworthy.jobs.job import GiveUp, Job, TryAgain
from roadworthy.jobs.task import Task, task
from roadworthy.jobs.task_options import TaskOptions

__all__ = ["celery_task"]

_celery: Any = celery_exceptions
_ATTEMPTS: Final = 5


def celery_task(existing: Any, **options: Unpack[TaskOptions]) -> Task[...]:
    """Return a task whose jobs run the function of a Celery task.

        send = celery_task(existing_task, attempts=5)
        await send.enqueue(tx, order_id=order.id)

    The jobs are stored under the name of the Celery task, and run in a thread of a worker
    process. `self.retry()` means another attempt, after its `countdown` or `eta`. The options are
    those of `TaskOptions`; `attempts` is `max_retries` plus one unless given. `Reject` is a
    failure for good, or with `requeue=True` another attempt; `Ignore` is a success. Parameters
    are stored by their types, and those without a type as any JSON. A task that returns a
    coroutine or a generator fails, because nothing would run it.

    Raises:
        TypeError: A parameter cannot be stored, or the function is an `async def`, which
            Celery does not await; the text says what to write.
    """
    if is_async(existing.run):
        raise TypeError(
            f"{existing.name} is an `async def`, which Celery calls and does not await. Write "
            "`@task` of roadworthy.jobs over that function, which runs it on the event loop, or "
            "a `def` that calls `asyncio.run(...)`."
        )
    most = existing.max_retries
    given: TaskOptions = {"attempts": _ATTEMPTS if most is None else most + 1, **options}
    function = _function(existing)
    declared: Task[...] = task(name=existing.name, runs_on="thread", **given)(function)
    return declared


def _function(existing: Any) -> Callable[..., None]:
    def call(job: Job, arguments: dict[str, Any]) -> None:
        try:
            _call(existing, job, arguments)
        except _celery.Retry as again:
            raise TryAgain(str(again), delay=_delay(again)) from (again.exc or again)
        except _celery.Reject as refused:
            wanted = TryAgain if refused.requeue else GiveUp
            raise wanted(str(refused.reason or "It was rejected.")) from refused
        except _celery.Ignore:
            return

    return adapted(existing.run, call, plain=getattr(existing.run, "__func__", existing.run))


def _call(existing: Any, job: Job, arguments: dict[str, Any]) -> None:
    # Celery's own `retry` would send a message, and a copy of a task is the task itself.
    stand_in = object.__new__(existing.__class__)
    stand_in.__dict__.update(existing.__dict__)
    stand_in.retry = partial(_retry, job.attempt)
    stand_in.push_request(
        id=job.id, args=(), kwargs=arguments, retries=job.attempt - 1, called_directly=True
    )
    try:
        refuse_unrun(existing.name, stand_in.run(**arguments))
    finally:
        stand_in.pop_request()


def _retry(  # noqa: PLR0917 - they are those of Celery
    attempt: int,
    args: Any = None,
    kwargs: Any = None,
    exc: BaseException | None = None,
    throw: bool = True,
    eta: datetime | None = None,
    countdown: float | None = None,
    max_retries: int | None = None,
    **_: Any,
) -> BaseException:
    if max_retries is not None and attempt > max_retries:
        raise GiveUp(f"It may be tried again {max_retries} times.") from exc
    again: BaseException = _celery.Retry(exc=exc, when=countdown if eta is None else eta)
    if throw:
        raise again
    return again


def _delay(again: Any) -> timedelta | None:
    """Return how long to wait, if the task has said so."""
    if again.when is None:
        return None
    if isinstance(again.when, datetime):
        aware = again.when if again.when.tzinfo else again.when.replace(tzinfo=UTC)
        return max(timedelta(0), aware - datetime.now(UTC))
    return timedelta(seconds=float(again.when))

"""`roadworthy jobs enqueue`: add a job of an application from the command line."""

import asyncio
import json
import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any, Final, cast

from pydantic import ValidationError

from roadworthy.cli.jobs import target
from roadworthy.cli.parsing import Mistake
from roadworthy.cli.text import tell, write
from roadworthy.jobs import ArgumentsMistaken, Call, Enqueued, Jobs, Task, enqueue_many

__all__ = ["add_to", "duration", "moment"]

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|)")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def add_to(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("target", metavar="MODULE:JOBS", help=target.HELP)
    parser.add_argument("task", metavar="TASK", help="the name of the task")
    parser.add_argument(
        "arguments", metavar="JSON", nargs="?", default="{}", help="its arguments: a JSON object"
    )
    parser.add_argument("--delay", metavar="TIME", type=duration, help="run it so much later: 10m")
    parser.add_argument(
        "--run-at", metavar="MOMENT", type=moment, help="run it then: 2030-01-31T12:00:00Z"
    )
    parser.add_argument("--expires", metavar="TIME", type=duration, help="if not begun by then: 1h")
    parser.add_argument("--queue", metavar="NAME", help="for the workers of this queue")
    parser.add_argument("--priority", metavar="N", type=int, help="minutes of head start")
    parser.add_argument("--unique-key", metavar="KEY", help="unless one with this key is there")
    parser.set_defaults(run=_run)


def duration(text: str) -> timedelta:
    """Read a time: `30`, `30s`, `10m`, `2h` or `1d`.

    Raises:
        ArgumentTypeError: It is none.
    """
    found = _DURATION.fullmatch(text)
    try:
        if found is not None:
            return timedelta(seconds=float(found[1]) * _SECONDS[found[2]])
    except OverflowError:
        pass
    raise ArgumentTypeError(f"{text!r} is no time such as 30s, 10m, 2h or 1d")


def moment(text: str) -> datetime:
    """Read a moment: RFC 3339, in UTC where it has no zone.

    Raises:
        ArgumentTypeError: It is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no moment such as 2030-01-31T12:00:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _run(chosen: Namespace) -> int:
    jobs = target.jobs_of(target.load(chosen.target))
    call = _call(_task(jobs, chosen.task), chosen)
    try:
        added = asyncio.run(_add(jobs, call))
    except Exception as error:  # whatever a driver raises, an operator wants one line
        raise Mistake(f"It was not enqueued: {type(error).__name__}: {error}") from error
    write(added.id)
    if not added.created:
        tell("There was a job with this unique key already: it is that one.")
    return 0


def _task(jobs: Jobs, name: str) -> Task[...]:
    known = {task.name: task for task in jobs.tasks}
    if name in known:
        return known[name]
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    meant = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(sorted(known))}."
    raise Mistake(f"Jobs knows no task {name}. {meant}")


def _call(task: Task[...], chosen: Namespace) -> Call:
    names = ("delay", "run_at", "expires", "queue", "priority", "unique_key")
    options = {name: getattr(chosen, name) for name in names}
    try:
        return task.options(**options).call(**_arguments(task, chosen.arguments))
    except (ArgumentsMistaken, ValueError, TypeError) as error:
        raise Mistake(str(error)) from error


def _arguments(task: Task[...], text: str) -> dict[str, Any]:
    try:
        given: Any = json.loads(text)
    except ValueError as error:
        raise Mistake(f"The arguments are no JSON: {error}. Type them as {_EXAMPLE}.") from None
    if not isinstance(given, dict):
        raise Mistake(f"The arguments are a JSON object, by name: {_EXAMPLE}.")
    try:
        loaded = task.signature.load(text)
    except ValidationError as error:
        told = "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()
        )
        raise Mistake(f"{task.name} cannot be enqueued: {told}.") from None
    # What is no argument of the task is refused with its name, and not left out.
    return {**cast("dict[str, Any]", given), **loaded}


_EXAMPLE: Final = """'{"order_id": "1"}'"""


async def _add(jobs: Jobs, call: Call) -> Enqueued:
    units: Any = jobs.work.units
    async with AsyncExitStack() as stack:
        if hasattr(units, "__aenter__"):
            await stack.enter_async_context(units)
        # A connection and not a session: its commit tells PostgreSQL's listeners.
        async with units.engine.begin() as connection:
            [added] = await enqueue_many(connection, [call])
    return added

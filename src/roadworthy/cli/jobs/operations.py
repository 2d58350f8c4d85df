"""Commands for operators: pause, resume, run-now, workers, retry-all and their like."""

import getpass
import socket
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeAlias

from roadworthy.cli.parsing import Mistake, count
from roadworthy.cli.text import as_json, moment, table, tell, write
from roadworthy.database import Database
from roadworthy.jobs import State, operations
from roadworthy.jobs.operations import JobFilter

__all__ = ["add_to", "add_who", "who"]

Add: TypeAlias = Callable[..., ArgumentParser]
Cells: TypeAlias = dict[str, str]

_KINDS: Final = ("queue", "task", "schedule")
_STATES: Final = [*(state.value for state in State), "retrying"]
_COUNTED: Final = 100_000
"""Jobs that are counted before a change is asked for again."""
_BULK: Final = {
    "retry": (operations.retry_all, "queued again"),
    "cancel": (operations.cancel_all, "cancelled, or told to stop"),
    "dismiss": (operations.dismiss_all, "dismissed"),
}


def add_to(add: Add) -> None:
    """Add the commands; `add(name, run, does, writes=...)` makes the parser of one."""
    _add_pauses(add)
    _add_json(add("schedules", _schedules, "list the schedules: when each ran and will run"))
    add_who(
        add("run-now", _run_now, "enqueue the job of a scheduled task now", writes=True)
    ).add_argument("task", metavar="TASK")
    _add_json(add("workers", _workers, "list the processes that run jobs, and who is silent"))
    _add_json(
        add("actions", _actions, "list what operators have done, the newest first")
    ).add_argument("--limit", metavar="N", type=count, default=50, help="at most so many (50)")
    for way, does in (
        ("retry", "queue all dead, cancelled and parked jobs that are meant"),
        ("cancel", "cancel or stop all jobs that are meant"),
        ("dismiss", "put all dead and parked jobs that are meant away"),
    ):
        _add_filter(add_who(add(f"{way}-all", partial(_change, way), does, writes=True)))


def _add_pauses(add: Add) -> None:
    for name, run, does in (
        ("pause", _pause, "pause a queue, a task or a schedule"),
        ("resume", _resume, "end a pause"),
    ):
        parser = add_who(add(name, run, does, writes=True))
        parser.add_argument("kind", choices=_KINDS)
        parser.add_argument("name", metavar="NAME")
    _add_json(add("paused", _paused, "list what is paused, since when and by whom"))


def _add_json(parser: ArgumentParser) -> ArgumentParser:
    parser.add_argument("--json", action="store_true", help="write JSON")
    return parser


def add_who(parser: ArgumentParser) -> ArgumentParser:
    """Add the option that names the operator."""
    parser.add_argument("--by", metavar="NAME", help="who acts (you, on this machine)")
    return parser


def _add_filter(parser: ArgumentParser) -> None:
    parser.add_argument("--state", choices=_STATES, help="only jobs in this state")
    for option, metavar, what in (
        ("--task", "NAME", "of this task"),
        ("--queue", "NAME", "of this queue"),
        ("--error-code", "CODE", "whose last attempt failed with this code"),
        ("--request-id", "ID", "that this request enqueued"),
        ("--text", "TEXT", "with this text in their arguments"),
    ):
        parser.add_argument(option, metavar=metavar, help=f"only jobs {what}")
    for option, what in (("--enqueued-after", "at"), ("--enqueued-before", "before")):
        parser.add_argument(
            option,
            metavar="TIME",
            type=_time,
            help=f"only jobs enqueued {what} this time, ISO 8601",
        )
    parser.add_argument("--everything", action="store_true", help="all jobs, without a filter")
    parser.add_argument("--yes", action="store_true", help="do it, instead of counting first")


def _time(text: str) -> datetime:
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no time: 2026-01-31T12:00:00Z") from None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def who(chosen: Namespace) -> str:
    """Return the name of the operator for the record of actions."""
    return chosen.by or f"{getpass.getuser()}@{socket.gethostname()}"


async def _pause(db: Database, chosen: Namespace) -> int:
    async with db.engine.begin() as connection:
        done = await operations.pause(connection, chosen.kind, chosen.name, by=who(chosen))
    _say(chosen, "is paused" if done else "was paused already")
    return 0


async def _resume(db: Database, chosen: Namespace) -> int:
    async with db.engine.begin() as connection:
        done = await operations.resume(connection, chosen.kind, chosen.name, by=who(chosen))
    _say(chosen, "goes on" if done else "was not paused")
    return 0 if done else 1


def _say(chosen: Namespace, what: str) -> None:
    write(f"The {chosen.kind} {chosen.name} {what}.")


async def _run_now(db: Database, chosen: Namespace) -> int:
    async with db.engine.begin() as connection:
        found = await operations.run_now(connection, chosen.task, by=who(chosen))
    if not found:
        tell(f"No schedule of {chosen.task} is known. Type: roadworthy jobs schedules")
        return 1
    write(f"A worker enqueues {chosen.task} as soon as it hears of it.")
    return 0


async def _paused(db: Database, chosen: Namespace) -> int:
    async with db.read_engine.connect() as connection:
        found = await operations.paused(connection)
    return _list(chosen, found, lambda each: {**_plain(each), "since": moment(each.since)})


async def _schedules(db: Database, chosen: Namespace) -> int:
    async with db.read_engine.connect() as connection:
        found = await operations.scheduled(connection)
    return _list(chosen, found, _schedule)


def _schedule(record: operations.ScheduleRecord) -> Cells:
    times = {"next_at": moment(record.next_at), "last_at": moment(record.last_at)}
    return {**_plain(record), **times, "paused": "yes" if record.paused else "-"}


async def _workers(db: Database, chosen: Namespace) -> int:
    async with db.read_engine.connect() as connection:
        found = await operations.running(connection)
    return _list(chosen, found, _worker)


def _worker(record: operations.WorkerRecord) -> Cells:
    return {
        "name": record.name,
        "role": record.role,
        "version": record.version or "-",
        "running": str(record.running),
        "started": moment(record.started_at),
        "seen": moment(record.seen_at),
        "state": "silent" if record.silent else "alive",
        "queues": ",".join(record.queues),
    }


async def _actions(db: Database, chosen: Namespace) -> int:
    async with db.read_engine.connect() as connection:
        found = await operations.recent(connection, limit=chosen.limit)
    return _list(chosen, found, _action)


def _action(record: operations.Action) -> Cells:
    target = " ".join(f"{name}={value}" for name, value in record.target.items())
    request = record.request_id or "-"
    cells = {"at": moment(record.at), "who": record.who, "what": record.what}
    return {**cells, "jobs": str(record.jobs), "request": request, "target": target}


async def _change(way: str, db: Database, chosen: Namespace) -> int:
    meant, (change, done) = _meant(way, chosen), _BULK[way]
    if not chosen.yes and way != "retry":
        number = await operations.count(db, meant, most=_COUNTED)
        many = f"{number} or more" if number == _COUNTED else str(number)
        tell(f"{many} jobs fit, in whatever state. To {way} those that can be, add --yes.")
        return 1
    changed = await change(db, meant, by=who(chosen))
    write(f"{changed.done} jobs are {done}.")
    if changed.kept:
        tell(f"{changed.kept} were kept: another has their unique key, or they had moved on.")
    return 0 if changed.done else 1


def _meant(way: str, chosen: Namespace) -> JobFilter:
    names = [field.name for field in fields(JobFilter)]
    picked = {name: getattr(chosen, name) for name in names if getattr(chosen, name) is not None}
    if bool(picked) == chosen.everything:
        raise Mistake(
            f"Say which jobs, or all. Type: roadworthy jobs {way}-all --state dead --task NAME, "
            f"or: roadworthy jobs {way}-all --everything"
        )
    return JobFilter(**picked)


def _list(chosen: Namespace, found: Sequence[Any], cells: Callable[[Any], Cells]) -> int:
    if chosen.json:
        write(as_json([asdict(each) for each in found]))
    elif found:
        rows = [cells(each) for each in found]
        write(table(list(rows[0]), [list(row.values()) for row in rows]))
    else:
        tell("There is nothing to list.")
    return 0 if found or chosen.json else 1


def _plain(record: Any) -> Cells:
    return {name: "-" if value is None else str(value) for name, value in asdict(record).items()}

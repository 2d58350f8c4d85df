"""`roadworthy jobs`: the commands of an operator for background jobs."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from roadworthy import jobs
from roadworthy.cli import database
from roadworthy.cli.jobs import operations
from roadworthy.cli.jobs.operations import add_who, who
from roadworthy.cli.parsing import Mistake, count
from roadworthy.cli.text import age, as_json, moment, printable, table, tell, write
from roadworthy.database import Database
from roadworthy.jobs import AttemptRecord, JobRecord, State, Stats
from roadworthy.jobs import operations as acts
from roadworthy.jobs.table.states import TRANSITIONS

if TYPE_CHECKING:  # where SQLAlchemy is absent, roadworthy.jobs is who says what to install
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["add_to"]

Command: TypeAlias = Callable[[Database, Namespace], Awaitable[int]]
Change: TypeAlias = Callable[..., Awaitable[bool]]

_STATES: Final = [*(state.value for state in State), "retrying"]
_PRIVATE: Final = ("arguments", "error")
"""What only `show` shows: both may hold secrets."""


def add_to(parser: ArgumentParser) -> None:
    """Add the commands to the parser of `roadworthy jobs`."""
    database.add_option(parser)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")

    def add(name: str, run: Command, does: str, *, writes: bool = False) -> ArgumentParser:
        added = commands.add_parser(name, help=does, description=f"{does.capitalize()}.")
        database.add_option(added)
        added.set_defaults(run=partial(_run, run, writes=writes))
        return added

    _add_filters(add("list", _list, "list jobs, the newest first"))
    _add_show(add("show", _show, "show all of one job, with its arguments and its error"))
    _add_dead(add("dead", _dead, "list the jobs that failed for good, and what to type next"))
    _add_json(add("stats", _stats, "count the jobs of each state, and what waits in each queue"))
    _add_retry(add("retry", _retry, "queue dead, cancelled or parked jobs again", writes=True))
    _add_ids(add("cancel", _cancel, "cancel jobs that wait, stop those that run", writes=True))
    _add_ids(add("dismiss", _dismiss, "put dead or parked jobs away for good", writes=True))
    operations.add_to(add)
    _add_of_application(commands)


def _add_of_application(commands: Any) -> None:
    """Add the commands that import an application; the others need nothing of it."""
    from roadworthy.cli.jobs import enqueue, work  # noqa: PLC0415 - they import what serves probes

    for name, add_to_one, does in (
        ("enqueue", enqueue.add_to, "add a job of an application"),
        ("work", work.add_to, "run the jobs of an application until SIGTERM or Ctrl+C"),
        ("alive", work.add_alive_to, "tell whether a worker lives, by its --alive-file"),
    ):
        add_to_one(commands.add_parser(name, help=does, description=f"{does.capitalize()}."))


def _add_filters(parser: ArgumentParser) -> None:
    parser.add_argument("--state", choices=_STATES, help="only jobs in this state")
    parser.add_argument("--queue", metavar="NAME", help="only jobs of this queue")
    _add_dead(parser)


def _add_dead(parser: ArgumentParser) -> None:
    parser.add_argument("--task", metavar="NAME", help="only jobs of this task")
    parser.add_argument("--limit", metavar="N", type=count, default=50, help="at most so many (50)")
    parser.add_argument("--before", metavar="ID", help="only jobs older than this one")
    _add_json(parser)


def _add_show(parser: ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID")
    _add_json(parser)


def _add_retry(parser: ArgumentParser) -> None:
    parser.add_argument("ids", metavar="ID", nargs="*")
    parser.add_argument("--all-dead", action="store_true", help="every dead job")
    parser.add_argument("--task", metavar="NAME", help="with --all-dead: only those of this task")
    add_who(parser)


def _add_ids(parser: ArgumentParser) -> None:
    parser.add_argument("ids", metavar="ID", nargs="+")
    add_who(parser)


def _add_json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="write JSON")


def _run(command: Command, chosen: Namespace, *, writes: bool) -> int:
    return database.run_on(chosen, jobs.table, partial(_call, command, chosen), writes=writes)


async def _call(command: Command, chosen: Namespace, db: Database) -> int:
    return await command(db, chosen)


async def _list(db: Database, chosen: Namespace) -> int:
    found = await _browse(db, chosen, state=chosen.state, queue=chosen.queue)
    _write_records(found, _LISTED, chosen)
    return 0 if found else 1


async def _dead(db: Database, chosen: Namespace) -> int:
    found = await _browse(db, chosen, state=State.DEAD)
    _write_records(found, _DIED, chosen)
    if found and not chosen.json:
        at = " --database URL" if hasattr(chosen, "database") else ""
        tell(f"\nWhy:    roadworthy jobs show {found[0].id}{at}")
        tell(f"Again:  roadworthy jobs retry {found[0].id}{at}")
        tell(f"All:    roadworthy jobs retry --all-dead --task {printable(found[0].task)}{at}")
    return 0 if found else 1


async def _show(db: Database, chosen: Namespace) -> int:
    async with db.read_engine.connect() as connection:
        record = await jobs.get(connection, chosen.id)
        attempts = await jobs.attempts(connection, chosen.id)
    if record is None:
        tell(f"There is no job {printable(chosen.id)}. Type: roadworthy jobs list")
        return 1
    if chosen.json:
        write(as_json({**_whole(record), "history": [_attempt(each) for each in attempts]}))
    else:
        write(f"{_described(record)}{_told_of(attempts)}")
    return 0


async def _stats(db: Database, chosen: Namespace) -> int:
    async with db.read_engine.connect() as connection:
        stats = await jobs.stats(connection)
    write(as_json(_counted(stats)) if chosen.json else _tables(stats))
    return 0


async def _retry(db: Database, chosen: Namespace) -> int:
    if chosen.all_dead == bool(chosen.ids) or (chosen.task and not chosen.all_dead):
        raise Mistake(
            "Name jobs or all that are dead. Type: roadworthy jobs retry ID, or: "
            "roadworthy jobs retry --all-dead [--task NAME]"
        )
    if chosen.all_dead:
        return await _retry_dead(db, chosen)
    refusal = "is not dead, cancelled or parked"
    return await _change(db, chosen, acts.retry, "is queued", refusal)


async def _retry_dead(db: Database, chosen: Namespace) -> int:
    dead = acts.JobFilter(state=State.DEAD, task=chosen.task)
    changed = await acts.retry_all(db, dead, by=who(chosen))
    write(f"{changed.done} of the dead jobs are queued.")
    if changed.kept:
        tell(f"{changed.kept} stay dead, because another job has their unique key now.")
    return 0 if changed.done else 1


async def _cancel(db: Database, chosen: Namespace) -> int:
    does = "is cancelled, or told to stop if it runs"
    return await _change(db, chosen, acts.cancel, does, "has ended already")


async def _dismiss(db: Database, chosen: Namespace) -> int:
    return await _change(db, chosen, acts.dismiss, "is dismissed", "is not dead or parked")


async def _change(db: Database, chosen: Namespace, change: Change, done: str, refusal: str) -> int:
    """Change each job in a transaction of its own, and say of each what became of it."""
    refused = 0
    for id_ in chosen.ids:
        # A connection and not a session: its commit tells PostgreSQL's listeners.
        async with db.engine.begin() as connection:
            changed = await change(connection, id_, by=who(chosen))
            why = "" if changed else await _why_not(connection, id_, change, refusal)
        if changed:
            write(f"{id_} {done}.")
            continue
        refused += 1
        tell(f"{printable(id_)} {why}; nothing was changed.")
    return 1 if refused else 0


async def _why_not(connection: "AsyncConnection", id_: str, change: Change, refusal: str) -> str:
    """Return why a job could not be changed."""
    record = await jobs.get(connection, id_)
    if record is None:
        return "is no job here"
    holder = await jobs.key_holder(connection, id_) if change is acts.retry else None
    if holder in {None, id_} or record.state not in TRANSITIONS["retry"].source:
        return refusal
    return f"is not queued, because job {holder} has its unique key now"


async def _browse(db: Database, chosen: Namespace, **filters: Any) -> list[JobRecord]:
    """Return the jobs that were asked for, and say where there are more."""
    async with db.read_engine.connect() as connection:
        found = await jobs.browse(
            connection, task=chosen.task, limit=chosen.limit + 1, before=chosen.before, **filters
        )
    if len(found) > chosen.limit:
        found = found[: chosen.limit]
        tell(f"There are more: --before {found[-1].id}")
    return found


_LISTED: Final = ("id", "task", "state", "queue", "attempts", "enqueued", "error")
_DIED: Final = ("id", "task", "error", "attempts", "died", "request")


def _write_records(found: list[JobRecord], columns: Sequence[str], chosen: Namespace) -> None:
    if chosen.json:
        write(as_json([_public(record) for record in found]))
    elif found:
        rows = [_cells(record) for record in found]
        write(table(columns, [[row[column] for column in columns] for row in rows]))
    else:
        tell("No such jobs.")


def _cells(record: JobRecord) -> dict[str, str]:
    return {
        "id": record.id,
        "task": record.task,
        "state": record.state,
        "queue": record.queue,
        "attempts": str(record.attempts),
        "enqueued": moment(record.enqueued_at),
        "died": moment(record.finished_at),
        "error": record.error_code or "-",
        "request": record.request_id or "-",
    }


def _public(record: JobRecord) -> dict[str, Any]:
    return {name: value for name, value in _whole(record).items() if name not in _PRIVATE}


def _whole(record: JobRecord) -> dict[str, Any]:
    return {name: _plain(value) for name, value in {**asdict(record), **_told(record)}.items()}


def _told(record: JobRecord) -> dict[str, Any]:
    """Return what is read differently from how it is stored."""
    try:
        return {"status": record.status, "arguments": json.loads(record.arguments)}
    except ValueError:  # somebody else wrote the row
        return {"status": record.status}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _described(record: JobRecord) -> str:
    names = {**_whole(record), "arguments": record.arguments, "progress": _progress(record)}
    return "\n".join(f"{name:<14} {_value(value)}" for name, value in names.items())


def _attempt(attempt: AttemptRecord) -> dict[str, Any]:
    return {name: _plain(value) for name, value in asdict(attempt).items()}


def _told_of(attempts: Sequence[AttemptRecord]) -> str:
    """Return the attempts, each with its times, its worker and how it ended."""
    if not attempts:
        return ""
    rows = [
        (*(str(each.attempt), moment(each.began_at), moment(each.ended_at)), *_ended(each))
        for each in attempts
    ]
    listed = table(("attempt", "began", "ended", "worker", "outcome"), rows)
    traced = [each for each in attempts if each.error or each.traceback]
    return f"\n\n{listed}" + "".join(_trace(each) for each in traced)


def _ended(attempt: AttemptRecord) -> tuple[str, str]:
    succeeded = "-" if attempt.ended_at is None else "succeeded"
    return attempt.worker or "-", attempt.error_code or succeeded


def _trace(attempt: AttemptRecord) -> str:
    lines = [*(attempt.error or "").splitlines(), *(attempt.traceback or "").splitlines()]
    told = "".join(f"\n    {printable(line)}".rstrip() for line in lines)
    return f"\n\nattempt {attempt.attempt}{told}"


def _value(value: object) -> str:
    lines = str("-" if value is None else value).splitlines() or [""]
    return f"\n{'':15}".join(printable(line) for line in lines)


def _progress(record: JobRecord) -> str | None:
    return None if record.progress is None else f"{record.progress:.0%}"


def _counted(stats: Stats) -> dict[str, Any]:
    return {
        "states": {state.value: stats.states.get(state, 0) for state in State},
        "queues": {
            name: {"depth": queue.depth, "oldest_seconds": queue.oldest.total_seconds()}
            for name, queue in stats.queues.items()
        },
    }


def _tables(stats: Stats) -> str:
    states = [(state.value, str(stats.states.get(state, 0))) for state in State]
    queues = [
        (name, str(queue.depth), age(queue.oldest)) for name, queue in sorted(stats.queues.items())
    ]
    counted = table(("state", "jobs"), states)
    waiting = table(("queue", "due", "oldest waits"), queues or [("-", "0", "-")])
    return f"{counted}\n\n{waiting}"

"""Fill a database with many jobs, attempts and problems, by a few statements of its own."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product

import sqlalchemy as sa

from roadworthy import problem_log
from roadworthy.jobs import table as jobs
from roadworthy.jobs.table.tables import attempts
from roadworthy.problem_log.table import counts
from roadworthy.tables import metadata

__all__ = ["SETTINGS", "Setting", "fill"]

_DAYS = 7
"""The jobs were enqueued within these."""
_KINDS = 20
"""Codes and routes that have problems in every quarter of an hour."""
_RARE = 100_003
"""One job of so many is of the task `shop.rare`."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What most of the jobs are."""

    name: str
    state: str
    """SQL for the state of job `i`."""


_SPREAD = """CASE WHEN i % 1000 < 900 THEN 'succeeded' WHEN i % 1000 < 930 THEN 'dead'
    WHEN i % 1000 < 950 THEN 'queued' WHEN i % 1000 < 970 THEN 'scheduled'
    WHEN i % 1000 < 990 THEN 'cancelled' WHEN i % 1000 < 995 THEN 'parked'
    WHEN i % 1000 < 999 THEN 'blocked' ELSE 'running' END"""
SETTINGS = (
    Setting("spread over the states", _SPREAD),
    Setting("all dead", "'dead'"),
    Setting("all queued", "'queued'"),
    Setting("old ones dead, new ones done", "CASE WHEN i < {old} THEN 'dead' ELSE 'succeeded' END"),
)


def fill(url: str, setting: Setting, *, many: int, problems: int) -> None:
    """Make the tables anew, with `many` jobs and a tenth as many problems in them."""
    engine = sa.create_engine(url, execution_options={"no_parameters": True})  # % is a remainder
    speak = _Sqlite() if engine.dialect.name == "sqlite" else _Postgres()
    indexes = [index for table in (jobs, attempts, problem_log.table) for index in table.indexes]
    with engine.begin() as connection:
        metadata.drop_all(connection)
        metadata.create_all(connection)
        for index in indexes:  # made at the end, which takes a third of the time
            index.drop(connection)
        state = setting.state.format(old=many // 10)
        connection.exec_driver_sql(_jobs(speak, state, many))
        connection.exec_driver_sql(_attempts(speak))
        connection.exec_driver_sql(_problems(speak, problems))
        connection.execute(counts.insert(), list(_counts()))
        for index in indexes:
            index.create(connection)
    _analyse(engine)
    engine.dispose()


def _counts() -> Iterator[dict[str, object]]:
    """Yield a week of counts: every quarter of an hour, problems of some kinds."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    now -= timedelta(minutes=now.minute % 15)
    for quarter, kind in product(range(_DAYS * 96), range(_KINDS)):
        yield {
            "begins_at": now - timedelta(minutes=15 * quarter),
            "code": f"CODE_{kind % 12}",
            "status": 500 if kind == 0 else 422,
            "route": f"/orders/{kind}/{{id}}",
            "reason": "",
            "problems": 1 + kind * quarter % 40,
        }


def _analyse(engine: sa.Engine) -> None:
    """Let PostgreSQL count, as its autovacuum does soon; SQLite of a service never is told to."""
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


class _Sqlite:
    def numbers(self, many: int) -> str:
        return (
            f"(WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {many - 1})"
            " SELECT i FROM n) AS n"
        )

    def hex(self, number: str, digits: int) -> str:
        return f"printf('%0{digits}x', {number})"

    def time(self, ago: str) -> str:
        return f"strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || ({ago}) || ' seconds') || '000'"

    def milliseconds(self, ago: str) -> str:
        return f"((CAST(strftime('%s', 'now') AS INTEGER) - ({ago})) * 1000)"

    no = "0"


class _Postgres:
    def numbers(self, many: int) -> str:
        return f"generate_series(0, {many - 1}) AS n(i)"

    def hex(self, number: str, digits: int) -> str:
        return f"lpad(to_hex(({number})::bigint), {digits}, '0')"

    def time(self, ago: str) -> str:
        return f"now() - make_interval(secs => ({ago}))"

    def milliseconds(self, ago: str) -> str:
        return f"((extract(epoch from now())::bigint - ({ago})) * 1000)"

    no = "false"


def _id(speak: _Sqlite | _Postgres, ago: str) -> str:
    """Return SQL for a UUID of version 7 of so many seconds ago."""
    at = speak.hex(speak.milliseconds(ago), 12)
    return (
        f"substr({at}, 1, 8) || '-' || substr({at}, 9, 4) || '-7' || {speak.hex('i % 4096', 3)}"
        f" || '-8000-' || {speak.hex('i', 12)}"
    )


def _jobs(speak: _Sqlite | _Postgres, state: str, many: int) -> str:
    seconds = _DAYS * 86400
    ago = f"({seconds} - (CAST(i AS BIGINT) * {seconds} / {many}))"
    at, ended = speak.time(ago), "state IN ('succeeded', 'dead', 'cancelled')"
    task = (
        f"CASE WHEN i % {_RARE} = 7 THEN 'shop.rare' ELSE 'shop.tasks.number_' || (i * 7 % 20) END"
    )
    columns = {
        "id": _id(speak, ago),
        "task": task,
        "version": "1",
        "arguments": '\'{"order_id": "\' || i || \'", "customer": "c-\' || (i % 997)'
        ' || \'@example.com", "lines": [{"item": "item-001", "quantity": 3}]}\'',
        "state": "state",
        "queue": "CASE WHEN i % 5 = 0 THEN 'mail' ELSE 'default' END",
        "runs_on": "'loop'",
        "priority": "0",
        "turn_at": at,
        "attempts": "CASE WHEN state IN ('queued', 'scheduled') THEN i % 2 ELSE 1 + i % 3 END",
        "enqueued_at": at,
        "run_at": at,
        "started_at": f"CASE WHEN {ended} OR state = 'running' THEN {at} END",
        "finished_at": f"CASE WHEN {ended} THEN {at} END",
        "leased_until": f"CASE WHEN state = 'running' THEN {speak.time('-60')} END",
        "worker": f"CASE WHEN {ended} OR state = 'running' THEN 'host-1-' || (i % 8) END",
        "cancel_requested": speak.no,
        "request_id": f"CASE WHEN i % 2 = 0 THEN {speak.hex('i / 4', 32)} END",
        "error_code": "CASE WHEN state = 'dead' THEN 'CODE_' || (i % 6) END",
        "error": "CASE WHEN state = 'dead' THEN 'ValueError: no such order ' || i END",
        "limit_key": "CASE WHEN state = 'blocked' THEN 'shop.tasks' END",
    }
    return (
        f"INSERT INTO {jobs.name} ({', '.join(columns)}) SELECT {', '.join(columns.values())}"
        f" FROM (SELECT i, {state} AS state FROM {speak.numbers(many)}) AS each"
    )


def _attempts(speak: _Sqlite | _Postgres) -> str:
    """Give the dead jobs among the newest thousand their attempts."""
    return (
        f"INSERT INTO {attempts.name} (job_id, id, attempt, began_at, ended_at, worker, error_code,"
        " error, traceback) SELECT id, substr(id, 1, 35) || n.i, n.i + 1, started_at, finished_at,"
        " worker, error_code, error, 'Traceback (most recent call last):' FROM (SELECT * FROM"
        f" {jobs.name} WHERE state = 'dead' ORDER BY id DESC LIMIT 1000) AS j, {speak.numbers(3)}"
    )


def _problems(speak: _Sqlite | _Postgres, many: int) -> str:
    ago = f"({many} - i)"
    return (
        f"INSERT INTO {problem_log.table.name} (id, at, status, code, method, route, request_id,"
        f" caller, exception, traceback, stands_for) SELECT {_id(speak, ago)}, {speak.time(ago)},"
        " CASE WHEN i % 50 = 0 THEN 500 ELSE 422 END, CASE WHEN i % 50 = 0 THEN 'INTERNAL_ERROR'"
        " ELSE 'CODE_' || (i % 12) END, 'POST', '/orders/' || (i % 30) || '/{id}',"
        f" {speak.hex('i', 32)}, {speak.hex('i % 500', 16)}, CASE WHEN i % 50 = 0 THEN"
        " 'builtins.ValueError' END, CASE WHEN i % 50 = 0 THEN 'Traceback (most recent call last):'"
        f" END, 1 FROM {speak.numbers(many)}"
    )

"""Whoever has older tables of jobs gets today's with what docs/how-to/jobs.md says to type."""

from sqlalchemy import Connection, Inspector, create_engine, inspect

from roadworthy import jobs
from support.pages import blocks_of
from support.source import REPOSITORY

PAGE = REPOSITORY / "docs/how-to/jobs.md"
BEFORE = """
CREATE TABLE roadworthy_job_schedules (
    task VARCHAR(200) NOT NULL PRIMARY KEY, spec VARCHAR(200) NOT NULL,
    next_at TIMESTAMP WITH TIME ZONE NOT NULL, ticks BIGINT NOT NULL
);
CREATE TABLE roadworthy_jobs (
    id VARCHAR(36) NOT NULL PRIMARY KEY, task VARCHAR(200) NOT NULL, version INTEGER NOT NULL,
    arguments TEXT NOT NULL, state VARCHAR(16) NOT NULL, queue VARCHAR(64) NOT NULL,
    runs_on VARCHAR(16) NOT NULL, priority INTEGER NOT NULL,
    turn_at TIMESTAMP WITH TIME ZONE NOT NULL, attempts INTEGER NOT NULL,
    enqueued_at TIMESTAMP WITH TIME ZONE NOT NULL, run_at TIMESTAMP WITH TIME ZONE NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE, finished_at TIMESTAMP WITH TIME ZONE,
    leased_until TIMESTAMP WITH TIME ZONE, worker VARCHAR(100), cancel_requested BOOLEAN NOT NULL,
    unique_key VARCHAR(200), unique_until VARCHAR(16), request_id VARCHAR(128),
    trace VARCHAR(100), error_code VARCHAR(100), error TEXT, progress FLOAT,
    progress_note VARCHAR(200)
);
CREATE INDEX ix_roadworthy_jobs_queued ON roadworthy_jobs (queue, runs_on, turn_at, id)
    WHERE state = 'queued';
CREATE INDEX ix_roadworthy_jobs_scheduled ON roadworthy_jobs (run_at) WHERE state = 'scheduled';
CREATE INDEX ix_roadworthy_jobs_running ON roadworthy_jobs (leased_until) WHERE state = 'running';
CREATE INDEX ix_roadworthy_jobs_parked ON roadworthy_jobs (task) WHERE state = 'parked';
CREATE INDEX ix_roadworthy_jobs_dead ON roadworthy_jobs (finished_at) WHERE state = 'dead';
CREATE INDEX ix_roadworthy_jobs_done ON roadworthy_jobs (finished_at)
    WHERE state IN ('succeeded', 'cancelled');
CREATE UNIQUE INDEX uq_roadworthy_jobs_unique ON roadworthy_jobs (task, unique_key)
    WHERE unique_key IS NOT NULL;
"""
"""The tables as they were before attempts were kept."""
WAITING = """
INSERT INTO roadworthy_jobs (id, task, version, arguments, state, queue, runs_on, priority,
    turn_at, attempts, enqueued_at, run_at, cancel_requested, unique_key, unique_until)
VALUES ('unique', 't', 1, '{}', 'queued', 'default', 'loop', 0, '2026-01-01 00:00:00.000000',
    0, '2026-01-01 00:00:00.000000', '2026-01-01 00:00:00.000000', FALSE, 'k', 'unfinished');
INSERT INTO roadworthy_jobs (id, task, version, arguments, state, queue, runs_on, priority,
    turn_at, attempts, enqueued_at, run_at, cancel_requested)
VALUES ('plain', 't', 1, '{}', 'queued', 'default', 'loop', 0, '2026-01-01 00:00:00.000000',
    0, '2026-01-01 00:00:00.000000', '2026-01-01 00:00:00.000000', FALSE);
"""


def test_the_sql_on_the_page_makes_the_tables_of_today(database_url: str) -> None:
    [block] = [block for block in blocks_of(PAGE) if block.language == "sql"]
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))

    with engine.begin() as connection:
        jobs.metadata.create_all(connection)
        new = form(inspect(connection))
        jobs.metadata.drop_all(connection)
        run(connection, BEFORE)
        run(connection, WAITING)
        run(connection, block.text)
        jobs.metadata.create_all(connection)
        migrated = form(inspect(connection))
        keys = {row.id: row.unique_of for row in connection.execute(jobs.table.select())}
    engine.dispose()

    assert migrated == new
    assert keys == {"unique": "k", "plain": None}


def run(connection: Connection, script: str) -> None:
    lines = [line.partition("--")[0] for line in script.splitlines()]
    for statement in "\n".join(lines).split(";"):
        if statement.strip():
            connection.exec_driver_sql(statement)


def form(inspector: Inspector) -> dict[str, tuple[set[str], set[str]]]:
    """Return the columns of each table of jobs, and its indexes with what they are over."""
    return {
        name: (
            {column["name"] for column in inspector.get_columns(name)},
            {f"{index['name']} {index['column_names']}" for index in inspector.get_indexes(name)},
        )
        for name in jobs.metadata.tables
    }

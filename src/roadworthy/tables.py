"""The tables that Roadworthy's parts keep, for migrations.

    # migrations/env.py
    from roadworthy.tables import metadata
    target_metadata = [my_metadata, metadata]

In a test: `await connection.run_sync(metadata.create_all)`.
"""

from roadworthy._internal.extras import extra

with extra("jobs", of="roadworthy.tables"):
    from sqlalchemy import MetaData

from roadworthy import events, idempotency, jobs, problem_log

__all__ = ["metadata"]

metadata = MetaData()
"""Every table of every part."""

for _part in (events.metadata, idempotency.metadata, jobs.metadata, problem_log.metadata):
    for _table in _part.sorted_tables:
        _table.to_metadata(metadata)

"""The tables that Roadworthy's parts keep, for migrations.

    # migrations/env.py
    from roadworthy.tables import metadata
    target_metadata = [my_metadata, metadata]

In a test: `await connection.run_sync(metadata.create_all)`.
"""

try:
    from sqlalchemy import MetaData
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        "roadworthy.tables needs SQLAlchemy: pip install 'roadworthy[jobs]'"
    ) from missing

from roadworthy import events, idempotency, jobs, problem_log

__all__ = ["metadata"]

metadata = MetaData()
"""Every table of every part."""

for _part in (events.metadata, idempotency.metadata, jobs.metadata, problem_log.metadata):
    for _table in _part.sorted_tables:
        _table.to_metadata(metadata)

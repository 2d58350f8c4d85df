"""The tables of jobs, under a name that programs of users import."""

from roadworthy.jobs.table.tables import attempts, metadata, schedules, table

__all__ = ["attempts", "metadata", "schedules", "table"]

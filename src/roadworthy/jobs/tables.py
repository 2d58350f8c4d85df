"""The tables of jobs under the name that programs import them by."""

from roadworthy.jobs.table.tables import attempts, metadata, schedules, table

__all__ = ["attempts", "metadata", "schedules", "table"]

"""Which job runs here: a context variable, so whatever the job starts carries it along."""

from contextvars import ContextVar

__all__ = ["job_id"]

job_id: ContextVar[str | None] = ContextVar("roadworthy_job_id", default=None)
"""The id of the job that runs, None outside of one."""

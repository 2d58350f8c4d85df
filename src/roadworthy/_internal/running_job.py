"""The id of the running job, in a context variable that its tasks inherit."""

from contextvars import ContextVar

__all__ = ["job_id"]

job_id: ContextVar[str | None] = ContextVar("roadworthy_job_id", default=None)
"""The id of the job that runs, None outside of one."""

"""A job, as clients read it."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from roadworthy.jobs import JobRecord

__all__ = ["JobStatus"]


class JobStatus(BaseModel):
    """The state of a job; its arguments and the texts of its errors are not for clients."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    task: str
    status: Literal["queued", "running", "retrying", "succeeded", "dead"]
    attempts: int = Field(description="How often it was begun.")
    enqueued_at: datetime
    finished_at: datetime | None
    request_id: str | None = Field(description="The request that made it.")
    error_code: str | None = Field(description="How its last attempt failed.")

    @classmethod
    def of(cls, record: JobRecord) -> "JobStatus":
        """Show a job: one that was cancelled is dead, and its code says of what."""
        return cls(
            id=record.id,
            task=record.task,
            status="dead" if record.status == "cancelled" else record.status,
            attempts=record.attempts,
            enqueued_at=record.enqueued_at,
            finished_at=record.finished_at,
            request_id=record.request_id,
            error_code="CANCELLED" if record.status == "cancelled" else record.error_code,
        )

"""The endpoints of jobs."""

import re
from typing import Final

from fastapi import APIRouter

from depot.jobs.models import JobStatus
from depot.jobs.problems import JobNotFound
from roadworthy import jobs, problems
from roadworthy.database import ReadLatest

__all__ = ["router"]

router = APIRouter(prefix="/jobs", tags=["jobs"])

_ID: Final = re.compile(r"[A-Za-z0-9-]{1,36}")


@router.head("/{job_id}", include_in_schema=False)
@router.get("/{job_id}", responses=problems.responses(JobNotFound))
async def read_job(job_id: str, read: ReadLatest) -> JobStatus:
    """Tell what became of a job, for some days after it has finished."""
    record = await jobs.get(read, job_id) if _ID.fullmatch(job_id) else None
    if record is None:
        raise JobNotFound
    return JobStatus.of(record)

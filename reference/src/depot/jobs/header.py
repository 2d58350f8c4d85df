"""`X-Job-ID`: the jobs that a request made, one header for each."""

from typing import Any, Final

from fastapi import Response

from roadworthy.jobs import Enqueued

__all__ = ["add", "documented"]

NAME: Final = "X-Job-ID"


def add(response: Response, *jobs: Enqueued) -> None:
    """Name the jobs in the response."""
    for job in jobs:
        response.headers.append(NAME, job.id)


def documented(status: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses=` of a route that names jobs in its answer."""
    said = "The job that this request made, once for each: see GET /jobs/{job_id}."
    header = {"description": said, "schema": {"type": "string"}}
    return {status: {"headers": {NAME: header}}}

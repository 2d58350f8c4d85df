"""`X-Job-ID`: the jobs that a request made, one header for each."""

from typing import Final

from fastapi import Response

from roadworthy.jobs import Enqueued

__all__ = ["NAME", "add"]

NAME: Final = "X-Job-ID"


def add(response: Response, *jobs: Enqueued) -> None:
    """Name the jobs in the response."""
    for job in jobs:
        response.headers.append(NAME, job.id)

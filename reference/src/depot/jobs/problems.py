"""The problems of jobs."""

from roadworthy.problems import Problem

__all__ = ["JobNotFound"]


class JobNotFound(Problem):
    """No job has this id, or it was finished long ago."""

    status = 404
    title = "Job not found"
    detail = "There is no such job."

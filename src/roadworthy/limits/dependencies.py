"""Limits of one route: dependencies to list in its decorator."""

from datetime import timedelta
from typing import Any, Final

from fastapi import Depends, Request, params

from roadworthy._internal.durations import check_duration
from roadworthy.limits.limited_request import LimitedRequest, limited_request_of
from roadworthy.problems import Problem, ServiceUnavailable, raises

__all__ = ["cancel_on_disconnect", "time_limit"]


def time_limit(time: timedelta, *, problem: type[Problem] = ServiceUnavailable) -> params.Depends:
    """Return a dependency that gives its routes another time, counted from the head.

        @app.get("/search", dependencies=[time_limit(timedelta(seconds=2))])

    `problem` is answered for who is over it, 503 unless that is another: of 504, say.

    Raises:
        TypeError: `time` is no `timedelta`.
        ValueError: It is not above zero.
    """
    check_duration("time", time, above_zero=True)
    make: Any = problem

    @raises(problem)
    async def limited(request: Request) -> None:
        _limited_request(request).limit(time.total_seconds(), make)

    made: params.Depends = Depends(limited)
    return made


async def _cancelling(request: Request) -> None:
    _limited_request(request).watch()


cancel_on_disconnect: Final[params.Depends] = Depends(_cancelling)
"""Cancel a request whose client leaves: its transaction rolls back, nobody waits for it.

It works behind `BaseHTTPMiddleware`, too. A body that the endpoint reads by itself is
watched once it is whole.
"""


def _limited_request(request: Request) -> LimitedRequest:
    found = limited_request_of(request.scope)
    if found is None:
        raise RuntimeError(
            "Limits of a route need those of the application: call `limits.install(app)` "
            "before `problems.install(app)`."
        )
    return found

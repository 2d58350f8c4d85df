"""`install`: put a whole application under limits."""

from collections.abc import Callable
from datetime import timedelta

from fastapi import FastAPI

from roadworthy import _fastapi
from roadworthy._internal.durations import check_duration, check_size
from roadworthy.limits.layer import Layer
from roadworthy.limits.terms import Terms
from roadworthy.problems import Problem, ServiceUnavailable
from roadworthy.problems.declare import every_route_raises

__all__ = ["install"]


def install(
    app: FastAPI,
    *,
    time: timedelta | None = None,
    problem: Callable[[], Problem] = ServiceUnavailable,
    at_most: int | None = None,
    body_idle: timedelta | None = timedelta(seconds=15),
    body_min_rate: int = 1024,
    cancel_on_disconnect: bool = False,
) -> None:
    """Hold every request of `app` to limits; call it before `problems.install(app)`.

    Mounted applications may have limits of their own; the one whose time is over first
    answers. So may an application that is given limits twice; `time_limit` on a route
    replaces both. Probes of `Health.install` are under no limit, if that is called afterwards.

    Args:
        app: The application, which must not have started.
        time: How long a request may take until its response begins, without the time in which
            its body is waited for. It is then cancelled and its transaction rolled back.
        problem: The answer to a request that took too long: 503 unless you give another.
        at_most: How many requests run at once; one more is answered 503 with `Retry-After`.
        body_idle: How long a body may stop before the request is answered 408. Uploads have
            limits of their own.
        body_min_rate: Bytes a second with which a body has to come after five seconds.
        cancel_on_disconnect: Whether a request is cancelled when its client leaves.

    Raises:
        RuntimeError: The application has already started.
        TypeError: A time is no `timedelta`, or a number no `int`.
        ValueError: One of them is too small to make sense.
    """
    _check(time=time, body_idle=body_idle, at_most=at_most)
    terms = Terms(
        time=_seconds(time),
        problem=problem,
        at_most=at_most,
        body_idle=_seconds(body_idle),
        body_min_rate=body_min_rate,
        cancel_on_disconnect=cancel_on_disconnect,
    )
    if at_most is not None or time is not None:
        every_route_raises(app, *_answers(problem))
    _fastapi.wrap_outermost(app, lambda inner: Layer(inner, terms, owner=app))


def _check(*, time: object, body_idle: object, at_most: object) -> None:
    for name, value in (("time", time), ("body_idle", body_idle)):
        if value is not None:
            check_duration(name, value, above_zero=True)
    if at_most is not None:
        check_size("at_most", at_most)


def _answers(problem: Callable[[], Problem]) -> tuple[type[Problem], ...]:
    declared = problem if isinstance(problem, type) else ServiceUnavailable
    return tuple(dict.fromkeys((ServiceUnavailable, declared)))


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()

"""Limits of time and load: no request waits for ever, nor too many at once.

    limits.install(app, time=timedelta(seconds=30), at_most=200)
    problems.install(app)

    @app.get("/search", dependencies=[limits.time_limit(timedelta(seconds=2))])
    async def search(words: str, read: Read) -> list[Item]: ...

    @app.get("/report", dependencies=[limits.cancel_on_disconnect])
    async def report(read: Read) -> Report: ...

A request that is over its time is cancelled, so that its transaction rolls back and its
connection goes to somebody else, and is answered 503. Who sends a body too slowly is
answered 408, who comes when the service is full 503 at once.
"""

from roadworthy.limits.dependencies import cancel_on_disconnect, time_limit
from roadworthy.limits.install import install

__all__ = ["cancel_on_disconnect", "install", "time_limit"]

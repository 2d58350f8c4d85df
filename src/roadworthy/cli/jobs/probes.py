"""Return whether a worker process lives, by probes over HTTP or by a file."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self

from fastapi import FastAPI

from roadworthy import problems
from roadworthy.health import Health
from roadworthy.jobs import Jobs
from roadworthy.lifespan import lifespan
from roadworthy.observability import Telemetry

__all__ = ["AliveFile", "probe_app"]

_EVERY: Final = 1.0
"""Seconds between two times that the file is touched."""


def probe_app(
    parts: list[AbstractAsyncContextManager[Any]], *, on_ready: Callable[[], object]
) -> FastAPI:
    """Return an application that opens the parts of a worker and answers probes.

    `/livez` touches nothing; `/readyz` fails while the heartbeat of jobs reaches no table.
    `/metrics` is there where the extra `telemetry` is installed.
    """
    health = Health()
    for part in parts:
        if isinstance(part, Jobs):
            health.add("jobs", part.ping, shared=False)
    telemetry = _telemetry()
    app = FastAPI(
        title="A worker",
        lifespan=lifespan(*parts, health, _told(on_ready)),
        openapi_url=None,
        telemetry=None if telemetry is None else telemetry.options(),
    )
    health.install(app)
    problems.install(app)
    if telemetry is not None:
        telemetry.install(app)
    return app


def _telemetry() -> Telemetry | None:
    try:
        return Telemetry(untold=("/metrics", "/livez", "/readyz", "/startupz", "/health"))
    except ModuleNotFoundError:  # the SDK is an extra: then there are probes without metrics
        return None


@asynccontextmanager
async def _told(on_ready: Callable[[], object]) -> AsyncGenerator[None]:
    on_ready()
    yield


class AliveFile:
    """Touch a file each second while the event loop runs; remove it at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._path.touch()
        self._task = asyncio.create_task(self._touch())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with suppress(OSError):
            self._path.unlink()

    async def _touch(self) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            with suppress(OSError):  # a full disk is no reason to end a worker
                self._path.touch()

"""`work`: run jobs in a process of their own; announce it, and stop with exit code 0."""

import asyncio
import signal
import socket
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, TypeAlias

import uvicorn
from fastapi import FastAPI

from depot import __version__, logs, parts, ready
from depot.operations import probing
from depot.serving import exit_in_order
from depot.settings import Settings
from depot.stopping import Grace
from depot.workers.process import BrokerWorker
from roadworthy import problems
from roadworthy.events import Events
from roadworthy.health import Health
from roadworthy.jobs import run_worker
from roadworthy.lifespan import lifespan
from roadworthy.observability import Telemetry

__all__ = ["work"]

Parts: TypeAlias = list[AbstractAsyncContextManager[Any]]

_UNTOLD = ("/metrics", "/livez", "/startupz", "/readyz", "/health")


def work(
    settings: Settings, *, queues: Sequence[str] | None, listener: socket.socket | None = None
) -> int:
    """Run jobs until a signal says to stop, and return the exit code.

    With a `listener`, probes and metrics are answered there, as the server answers its own.
    """
    grace = Grace.of_worker(settings)
    db, files = parts.database(settings, grace), parts.files(settings)
    mailer = parts.mailer(settings)
    engine = parts.engine(settings, grace, queues=queues)
    jobs = parts.jobs(db, files, mailer, engine)
    health = probing.health(settings, db, files, engine, drain_seconds=0)
    health.add("worker", jobs.ping, critical=False, shared=False)
    if settings.jobs.engine == "embedded":
        return _run([db, files, mailer, Events(db), jobs], health, settings, listener)
    # This process keeps the table of jobs; they run in processes that open parts of their own.
    worker = BrokerWorker(settings.jobs.engine, grace, queues=queues or parts.queues())
    code = _run([db, files, Events(db), jobs, worker], health, settings, listener)
    return 1 if worker.died else code


def _run(opened: Parts, health: Health, settings: Settings, listener: socket.socket | None) -> int:
    if listener is None:
        return asyncio.run(run_worker(*opened, on_ready=_announce))
    config = uvicorn.Config(
        _probes(opened, health),
        log_config=logs.config(settings.log.format),
        access_log=False,
        server_header=False,
        lifespan="on",
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, exit_in_order)
    server = _Server(config)
    with suppress(SystemExit):  # the caller returns the exit code
        server.run([listener])
    return 0 if server.started else 1


def _probes(opened: Parts, health: Health) -> FastAPI:
    resource = {"service.name": "depot-worker", "service.version": __version__}
    telemetry = Telemetry(resource=resource, untold=_UNTOLD)
    app = FastAPI(
        title="Depot, the jobs",
        version=__version__,
        lifespan=lifespan(*opened, health),
        telemetry=telemetry.options(),
        openapi_url=None,
    )
    health.install(app)
    problems.install(app)
    telemetry.install(app)
    return app


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            _announce()


def _announce() -> None:
    ready.say("Depot's worker is ready")

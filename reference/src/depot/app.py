"""Build the application: `create_app(settings)`."""

from datetime import timedelta

from fastapi import Depends, FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware

from depot import __version__, home, parts, settings
from depot.documents import archives, policies
from depot.documents import routes as documents
from depot.inventory import routes as inventory
from depot.jobs import routes as jobs
from depot.operations import console as ops
from depot.operations import probing
from depot.operations.sweep import Sweep
from depot.orders import routes as orders
from depot.reports import routes as reports
from depot.settings import Settings
from depot.stopping import Grace
from depot.users import routes as users
from roadworthy import limits, problems
from roadworthy.console import console
from roadworthy.events import Events
from roadworthy.lifespan import lifespan
from roadworthy.observability import RequestLog, Telemetry
from roadworthy.problem_log import ProblemLog
from roadworthy.uploads.resumable import TUS_HEADERS

__all__ = ["application", "create_app"]

REQUEST_TIME = timedelta(seconds=60)
"""How long a request may take until its response begins; the body's time does not count."""
REQUESTS_AT_ONCE = 1000
"""Requests that run at once; one more is answered 503."""

_UNTOLD = ("/metrics", "/livez", "/startupz", "/readyz")
"""Paths that machines ask every few seconds, which are not counted."""

_EXPOSED = (
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Idempotent-Replayed",
    "Link",
    "Location",
    "Retry-After",
    "X-Error-Code",
    "X-Job-ID",
    "X-Request-ID",
    *TUS_HEADERS,
)
"""Headers that a browser lets scripts of other origins read."""


def create_app(chosen: Settings) -> FastAPI:
    """Return the application; nothing is opened until it starts."""
    grace = Grace.of_server(chosen)
    db, files = parts.database(chosen, grace), parts.files(chosen)
    mailer = parts.mailer(chosen)
    engine = parts.engine(chosen, grace)
    health = probing.health(chosen, db, files, engine)
    # With Celery nothing runs here anyway, and somebody has to ring.
    run = chosen.jobs.run_in_server or chosen.jobs.engine != "embedded"
    background = parts.jobs(db, files, mailer, engine, run=run)
    problem_log = ProblemLog(db)
    telemetry = Telemetry(
        resource={"service.name": "depot", "service.version": __version__},
        untold=_UNTOLD,
    )
    app = FastAPIOffline(  # /docs works where no CDN can be reached
        title="Depot",
        version=__version__,
        summary="A stock-keeping service.",
        # Closed from right to left: jobs end before what they use.
        lifespan=lifespan(
            *(db, files, mailer, background),
            *(Sweep(db, files), problem_log, Events(db), health),
        ),
        telemetry=telemetry.options(),
        max_body_size=chosen.body.max_bytes,
        redirect_slashes=False,
    )
    # From the inside out: probes are under no limit, and all of them have request ids.
    limits.install(app, time=REQUEST_TIME, at_most=REQUESTS_AT_ONCE)
    health.install(app)
    problems.install(app, observe=RequestLog(style=chosen.log.format))
    problem_log.watch(app)
    telemetry.install(app)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=chosen.cors.origins,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=_EXPOSED,
    )
    required = [Depends(inventory.require_if_match)] if chosen.require_if_match else []
    for domain in (inventory, documents, archives):
        app.include_router(domain.guarded, dependencies=required)
    app.include_router(documents.adding(policies.documents(max_bytes=chosen.uploads.max_bytes)))
    large = policies.archives(max_bytes=chosen.archives.max_bytes)
    app.include_router(archives.adding(large))
    app.include_router(archives.resuming(large), tags=["archives"])
    for domain in (inventory, orders, reports, users, documents, archives, jobs):
        app.include_router(domain.router)
    app.include_router(home.router)
    app.include_router(console(access=ops.access(chosen), title="Depot"), prefix="/ops")
    return app


def application() -> FastAPI:
    """Return the application as the environment wants it: what a server process imports."""
    return create_app(settings.read())

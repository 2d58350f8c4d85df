"""The command line: `depot serve`, `depot worker`, `depot migrate`, `depot demo`."""

import asyncio
import logging.config
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, NoReturn

import typer

from depot import logs, parts, schema, serving, settings
from depot.demo import add_demo_data
from depot.schema import SchemaMismatch
from depot.serving import CannotListen
from depot.settings import Settings, SettingsMistaken
from depot.stopping import Grace
from depot.workers import worker as worker_process
from roadworthy.database import Database, reason
from roadworthy.uploads import Files

__all__ = ["app", "main"]

log = logging.getLogger("depot")

FILES_SECONDS = 15
"""How long a store may take to answer when it is first asked."""

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Depot, a stock-keeping service."
)

Host = Annotated[str, typer.Option(help="The address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")]
ProbePort = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="Answer /livez, /readyz, /health and /metrics there."),
]
DemoPort = Annotated[int, typer.Option(min=0, max=65535, envvar="PORT")]
Workers = Annotated[int, typer.Option(min=1, max=64, help="Processes that serve.")]
Queues = Annotated[
    list[str] | None, typer.Option("--queue", help="Only the jobs of this queue; may be repeated.")
]


def main() -> None:
    """Run the command line."""
    app()


@app.command()
def serve(host: Host = "127.0.0.1", port: Port = 8000, workers: Workers = 1) -> None:
    """Serve until SIGTERM or Ctrl+C; the schema is made first where there is none."""
    _serve(host, port, workers)


@app.command()
def worker(queue: Queues = None, host: Host = "127.0.0.1", port: ProbePort = None) -> None:
    """Run jobs until SIGTERM or Ctrl+C; start as many as there is work for."""
    chosen = _settings(runs_jobs=True)
    listener = None if port is None else _bind(host, port)
    _with_database(chosen, schema.prepare)
    _try_files(chosen)
    raise typer.Exit(worker_process.work(chosen, queues=queue or None, listener=listener))


@app.command()
def migrate() -> None:
    """Bring the database to the schema of this version."""
    _with_database(_settings(), schema.migrate)
    sys.stdout.write("The database has the schema of this version.\n")


@app.command()
def demo(host: Host = "127.0.0.1", port: DemoPort = 8000, workers: Workers = 1) -> None:
    """Serve with demo data, which is added if there are no items yet."""
    _serve(host, port, workers, demo=True)


def _serve(host: str, port: int, workers: int, *, demo: bool = False) -> None:
    chosen = _settings(runs_jobs=True)
    listener = _bind(host, port)
    _with_database(chosen, schema.prepare)
    _try_files(chosen)
    if demo:
        _with_database(chosen, partial(_add_demo_data, parts.files(chosen)))
    raise typer.Exit(serving.serve(chosen, listener, workers=workers))


def _bind(host: str, port: int) -> socket.socket:
    try:
        return serving.bind(host, port)
    except CannotListen as error:
        _fail(str(error))


async def _add_demo_data(files: Files, db: Database) -> None:
    async with files, db.begin() as tx:
        await add_demo_data(tx, files)


def _settings(*, runs_jobs: bool = False) -> Settings:
    try:
        chosen = settings.read()
    except SettingsMistaken as error:
        _fail(*error.lines)
    if runs_jobs and (mistake := _mistake_about_jobs(chosen)):
        _fail(mistake)
    logging.config.dictConfig(logs.config(chosen.log.format))
    for sentence in settings.unknown(os.environ):
        log.warning("%s", sentence)
    return chosen


def _mistake_about_jobs(chosen: Settings) -> str | None:
    url = str(chosen.jobs.broker_url or "")
    if chosen.jobs.engine == "celery" and not url:
        return "DEPOT_JOBS__BROKER_URL: needs amqp://host or redis://host, for celery"
    if chosen.jobs.engine == "rq" and not url.startswith(("redis://", "rediss://", "unix://")):
        return "DEPOT_JOBS__BROKER_URL: needs redis://host, for rq"
    return None


def _with_database(chosen: Settings, use: Callable[[Database], Awaitable[None]]) -> None:
    async def run() -> None:
        async with parts.database(chosen, Grace.of_worker(chosen)) as db:
            await use(db)

    try:
        asyncio.run(run())
    except SchemaMismatch as error:
        _fail(str(error))
    except Exception as error:  # whatever a driver raises, an operator wants one line
        log.debug("the database cannot be used", exc_info=True)
        _fail(f"DEPOT_DATABASE__URL: the database cannot be used: {reason(error)}")


def _try_files(chosen: Settings) -> None:
    async def run() -> None:
        async with asyncio.timeout(FILES_SECONDS), parts.files(chosen) as files:
            await anext(files.store.entries(), None)

    try:
        asyncio.run(run())
    except Exception as error:  # whatever a store raises, an operator wants one line
        log.debug("files cannot be kept", exc_info=True)
        why = str(error).partition("\n")[0] or type(error).__name__
        _fail(f"DEPOT_FILES__URL: files cannot be kept there: {why}")


def _fail(*lines: str) -> NoReturn:
    for line in lines:
        sys.stderr.write(f"{line}\n")
    raise typer.Exit(2)

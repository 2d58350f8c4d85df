"""`roadworthy jobs work` and `alive`: run a worker process, and probe it."""

import asyncio
import logging
import logging.config
import signal
import socket
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from roadworthy.cli.jobs import target
from roadworthy.cli.jobs.enqueue import duration
from roadworthy.cli.jobs.probes import AliveFile, probe_app
from roadworthy.cli.parsing import Mistake, count
from roadworthy.cli.text import tell, write
from roadworthy.jobs import Embedded, Engine, run_worker
from roadworthy.observability import log_config

__all__ = ["add_alive_to", "add_to"]


def add_to(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("target", metavar="MODULE:JOBS", help=target.HELP)
    parser.add_argument(
        *("--queue", "-q"), metavar="NAME", action="append", help="only this queue; may be repeated"
    )
    parser.add_argument("--concurrency", metavar="N", type=count, help="coroutines at a time (50)")
    parser.add_argument(
        "--port", metavar="N", type=int, help="answer /livez, /readyz, /health and /metrics there"
    )
    parser.add_argument("--host", metavar="NAME", default="127.0.0.1", help="and at this address")
    parser.add_argument(
        "--alive-file", metavar="PATH", type=Path, help="touch this file each second it is alive"
    )
    parser.add_argument(
        "--log", choices=("console", "json"), help="how to log (as the module has set it up)"
    )
    parser.set_defaults(run=_work)


def add_alive_to(parser: ArgumentParser) -> None:
    """Add what the probe takes."""
    parser.add_argument("path", metavar="PATH", type=Path, help="what --alive-file names")
    parser.add_argument(
        "--within", metavar="TIME", type=duration, default=duration("30s"), help="this long ago"
    )
    parser.set_defaults(run=_alive)


def _work(chosen: Namespace) -> int:
    parts = target.parts_of(target.load(chosen.target), _engine(chosen))
    _set_up_logs(chosen.log)
    if chosen.alive_file is not None:
        parts.append(AliveFile(chosen.alive_file))
    if chosen.port is not None:
        return _serve(parts, chosen)
    return _guarded(lambda: asyncio.run(run_worker(*parts, on_ready=_announce)))


def _engine(chosen: Namespace) -> Engine | None:
    if chosen.queue is None and chosen.concurrency is None:
        return None
    return Embedded(queues=chosen.queue, concurrency=chosen.concurrency or 50)


def _set_up_logs(style: Any) -> None:
    """Log, unless the module that was imported has said how."""
    if style is not None or not logging.getLogger().handlers:
        logging.config.dictConfig(log_config(style or "console"))


def _serve(parts: target.Parts, chosen: Namespace) -> int:
    try:
        import uvicorn  # noqa: PLC0415 - only who has probes over HTTP needs it
    except ModuleNotFoundError as missing:
        raise Mistake("--port needs uvicorn: pip install uvicorn") from missing
    listener = _bound(chosen.host, chosen.port)
    config = uvicorn.Config(
        probe_app(parts, on_ready=_announce), log_config=None, access_log=False, lifespan="on"
    )
    server = uvicorn.Server(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)
    server.run([listener])
    return 0 if server.started else 1


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, proto)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, OverflowError) as error:
        raise Mistake(
            f"Cannot listen on {host}:{port}: {error}. Choose another with --host and --port."
        ) from error
    return listener


def _exit(number: int, frame: FrameType | None) -> None:
    # Uvicorn raises the signal again once it has stopped: that is an orderly end.
    raise SystemExit(0)


def _guarded(run: Callable[[], int]) -> int:
    try:
        return run()
    except (Mistake, KeyboardInterrupt):
        raise
    except Exception as error:  # whatever a part raises, an operator wants one line
        logging.getLogger("roadworthy.jobs").debug("the worker has failed", exc_info=True)
        raise Mistake(f"The worker cannot run: {type(error).__name__}: {error}") from error


def _announce() -> None:
    tell("The worker is ready.")


def _alive(chosen: Namespace) -> int:
    try:
        age = time.time() - chosen.path.stat().st_mtime
    except OSError:
        tell(f"There is no {chosen.path}: the worker is not ready, or has no --alive-file.")
        return 1
    if age > chosen.within.total_seconds():
        tell(f"The worker was last alive {age:.0f} seconds ago.")
        return 1
    write(f"The worker was alive {max(0.0, age):.0f} seconds ago.")
    return 0

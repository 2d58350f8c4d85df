"""Serve the application: bind first, say so when it is ready, stop with exit code 0."""

import logging
import signal
import socket
from types import FrameType

import uvicorn
from uvicorn.supervisors import Multiprocess

from depot import logs, ready
from depot.operations import console
from depot.settings import Settings
from depot.stopping import Grace

__all__ = ["CannotListen", "bind", "exit_in_order", "serve"]

log = logging.getLogger(__name__)

STARTUP_SECONDS = 60
"""Seconds that a worker may take to start before that is logged as a failure."""


class CannotListen(Exception):
    """The address is taken, or is none of this machine."""


def bind(host: str, port: int) -> socket.socket:
    """Take the address, without listening yet: clients are refused until there is an answer.

    Raises:
        CannotListen: The address is taken, or is none of this machine.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, proto)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise CannotListen(
            f"Cannot listen on {host}:{port}: {error.strerror or error}. "
            "Choose another with --host and --port."
        ) from error
    listener.set_inheritable(True)
    return listener


def serve(settings: Settings, listener: socket.socket, *, workers: int) -> int:
    """Serve until a signal says to stop, and return the exit code."""
    url = _url(listener)
    ops = console.first_link(settings, url, listener.getsockname()[0])
    config = uvicorn.Config(
        "depot.app:application",
        factory=True,
        workers=workers,
        log_config=logs.config(settings.log.format),
        access_log=False,
        server_header=False,
        # Whole seconds, and 0 would cut requests off at once.
        timeout_graceful_shutdown=max(1, int(Grace.of_server(settings).requests.total_seconds())),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, exit_in_order)
    if workers > 1:
        return _serve_from_workers(config, listener, url, ops)
    server = _Server(config, url, ops)
    server.run([listener])
    return 0 if server.started else 1


def exit_in_order(number: int, frame: FrameType | None) -> None:
    """Exit with code 0: what SIGTERM and SIGINT do once the server has stopped."""
    # Uvicorn raises the signal again once it has stopped: that is an orderly end.
    raise SystemExit(0)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _announce(url: str, ops: str | None) -> None:
    ready.say(f"Depot is ready on {url}")
    if ops is not None:
        log.info("Operations, by a link that is good once, for five minutes: %s", ops)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, url: str, ops: str | None) -> None:
        super().__init__(config)
        self.url, self.ops = url, ops

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            _announce(self.url, self.ops)


class _Workers(Multiprocess):
    def __init__(
        self, config: uvicorn.Config, sockets: list[socket.socket], url: str, ops: str | None
    ) -> None:
        super().__init__(config, sockets)
        self.url, self.ops = url, ops
        self.started = False

    def init_processes(self) -> None:
        super().init_processes()
        self.started = all(process.wait_until_ready(STARTUP_SECONDS) for process in self.processes)
        if self.started:
            _announce(self.url, self.ops)


def _serve_from_workers(
    config: uvicorn.Config, listener: socket.socket, url: str, ops: str | None
) -> int:
    workers = _Workers(config, [listener], url, ops)
    workers.run()
    return 0 if workers.started else 1

"""Connect with asyncpg to one of several hosts, each with a deadline of its own.

asyncpg has one deadline for all hosts: the first one that is silent would use it up, and the
next one, which may be the new primary, would never be asked.
"""

import asyncio
import random
import socket
import ssl
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final

__all__ = ["CannotConnect", "connect"]

_PREFER_STANDBY: Final = "prefer-standby"


class CannotConnect(OSError):
    """No host could be used; the text gives the reason for each."""


async def connect(
    *,
    socket_options: Mapping[str, int],
    shuffled: bool = False,
    host: Sequence[str] | str | None = None,
    port: Sequence[int] | int | None = None,
    target_session_attrs: str | None = None,
    **given: Any,
) -> Any:
    """Return a connection of asyncpg to the first host that can be used.

    Raises:
        CannotConnect: None of them will.
    """
    hosts = _pairs(host, port)
    if shuffled:
        random.shuffle(hosts)
    wanted = [target_session_attrs]
    if target_session_attrs == _PREFER_STANDBY:
        wanted = ["standby", None]
    failures: dict[str, Exception] = {}
    for target in wanted:
        for place in hosts:
            try:
                connection = await _connect(place, target, given)
            except _expected() as error:
                failures[_shown(place)] = error
            else:
                _keep_alive(connection, socket_options)
                return connection
    seconds = given.get("timeout")
    told = [f"{place}: {_why(error, seconds)}" for place, error in failures.items()]
    raise CannotConnect("; ".join(told)) from list(failures.values())[-1]


async def _connect(place: tuple[str, int] | None, target: str | None, given: Any) -> Any:
    asyncpg: Any = import_module("asyncpg")
    where = {} if place is None else {"host": place[0], "port": place[1]}
    return await asyncpg.connect(**where, target_session_attrs=target, **given)


def _pairs(
    host: Sequence[str] | str | None, port: Sequence[int] | int | None
) -> list[tuple[str, int] | None]:
    if host is None:
        return [None]  # as the environment has it, or the socket of this machine
    hosts = [host] if isinstance(host, str) else list(host)
    ports = [port or 5432] * len(hosts) if isinstance(port, int | None) else list(port)
    return list(zip(hosts, ports, strict=True))


def _expected() -> tuple[type[Exception], ...]:
    asyncpg: Any = import_module("asyncpg")
    theirs = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
    return (OSError, UnicodeError, *theirs)


def _shown(place: tuple[str, int] | None) -> str:
    if place is None:
        return "this machine"
    host, port = place
    return f"{host}:{port}" if ":" not in host else f"[{host}]:{port}"


def _why(error: Exception, seconds: float | None) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {seconds:g} s" if seconds else "no answer"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, socket.gaierror):
        return f"the host is not known ({error.strerror})"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    return str(error).partition("\n")[0] or type(error).__name__


def _keep_alive(connection: Any, options: Mapping[str, int]) -> None:
    """Switch TCP keepalive on, as libpq does, so that a dead server is noticed."""
    transport: asyncio.BaseTransport | None = getattr(connection, "_transport", None)
    raw: Any = transport.get_extra_info("socket") if transport is not None else None
    if raw is None or raw.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, options["keepalives"])
    for name, option in _OPTIONS.items():
        number: int | None = getattr(socket, option, None)  # not every system has all
        if number is not None and options[name] > 0:
            raw.setsockopt(socket.IPPROTO_TCP, number, options[name])


_OPTIONS: Final = {
    "keepalives_idle": "TCP_KEEPIDLE",
    "keepalives_interval": "TCP_KEEPINTVL",
    "keepalives_count": "TCP_KEEPCNT",
    "tcp_user_timeout": "TCP_USER_TIMEOUT",
}

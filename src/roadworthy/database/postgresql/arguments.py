"""The connection arguments of a PostgreSQL driver, from the URL and settings.

| the URL says                          | asyncpg                   | psycopg         |
|---------------------------------------|---------------------------|-----------------|
| several hosts, `target_session_attrs` | one after the other, here | libpq           |
| `ssl...`                              | its own DSN               | libpq           |
| `options`, `application_name`         | in the first message      | libpq           |
| `keepalives...`, `tcp_user_timeout`   | set on the socket, here   | libpq           |
| `schema`, `pgbouncer`                 | our terms                 | our terms       |
"""

import inspect
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from importlib import import_module
from typing import Any, Final
from urllib.parse import urlencode

from roadworthy.database.bounded import connecting_within
from roadworthy.database.postgresql import pooler, startup_options
from roadworthy.database.postgresql.hosts import connect
from roadworthy.database.urls import Address

__all__ = ["Terms", "arguments_for", "terms_of"]

_GRACE: Final = 5.0
"""Seconds that the client waits longer than the server's own statement timeout."""
_ENDLESS: Final = 130.0
"""Seconds to connect in where the URL says to wait for ever: what psycopg makes of it."""
_ALIVE: Final[Mapping[str, str]] = {
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
"""How soon a server is given up whose machine is gone and cannot say so, in seconds; the last
one, in milliseconds, is how long what was sent may stay unconfirmed."""
_TLS: Final = (
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "sslnegotiation"),
    *("ssl_min_protocol_version", "ssl_max_protocol_version"),
)
_SAME: Final = ("passfile", "service", "servicefile", "krbsrvname", "gsslib")
_NUMBERS: Final = ("command_timeout", "prepared_statement_cache_size")
_OURS: Final = ("pgbouncer", "connection_limit", "schema")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The settings with which sessions of one database begin, whatever the driver."""

    address: Address
    settings: Mapping[str, str]
    """Settings of the server for each session, or behind a pooler for each transaction."""
    words: str
    """What else is in `options`: for a proxy, or a server that knows it."""
    wait: float
    """Seconds to connect to one host in."""
    target: str | None
    """Which of several hosts will do."""
    behind_pooler: bool
    connect_args: Mapping[str, Any]
    statement_timeout: timedelta

    @property
    def read_only(self) -> bool:
        """Return whether the sessions refuse writes."""
        given: Any = self.connect_args.get("server_settings") or {}
        value = given.get("default_transaction_read_only") or self.settings.get(
            "default_transaction_read_only", "off"
        )
        return str(value).lower() in {"on", "true", "yes", "1"}


def terms_of(
    address: Address,
    *,
    max_wait: timedelta,
    statement_timeout: timedelta,
    connect_args: Mapping[str, Any],
    behind_pooler: bool,
    replica: bool = False,
) -> Terms:
    """Return the settings of a database; options of the URL win over arguments.

    Of several hosts, the primary is wanted, or a replica, where the URL does not say.

    Raises:
        ValueError: An argument for the driver is none, or `options` cannot be read.
    """
    options = address.options
    _check_names(connect_args, address.driver)
    settings, words = startup_options.split(options.get("options", ""))
    settings.setdefault(
        "statement_timeout",
        str(startup_options.milliseconds(statement_timeout, "statement_timeout")),
    )
    if schema := options.get("schema"):
        settings["search_path"] = startup_options.quoted(schema)
    return Terms(
        address=address,
        settings=settings,
        words=words,
        wait=_wait(address, max_wait),
        target=_target(address, replica=replica),
        behind_pooler=behind_pooler or options.get("pgbouncer", "no") in {"true", "1", "yes", "on"},
        connect_args=connect_args,
        statement_timeout=startup_options.duration(settings["statement_timeout"]),
    )


def arguments_for(terms: Terms) -> dict[str, Any]:
    """Return the connection arguments of the driver."""
    make = _for_asyncpg if terms.address.driver == "asyncpg" else _for_psycopg
    return make(terms)


def _for_asyncpg(terms: Terms) -> dict[str, Any]:
    address, options = terms.address, terms.address.options
    given = dict(terms.connect_args)
    sockets = {name: int(options.get(name, _ALIVE[name])) for name in _ALIVE}
    known: dict[str, Any] = {
        "async_creator_fn": partial(
            connect,
            socket_options=sockets,
            shuffled=options.get("load_balance_hosts") == "random",
        ),
        "user": address.url.username,
        "password": address.url.password,
        "database": address.url.database,
        "timeout": terms.wait,
        "target_session_attrs": terms.target,
        "server_settings": {**_first_message(terms), **given.pop("server_settings", {})},
        **{name: options[name] for name in _SAME if name in options},
        **{name: int(options[name]) for name in _NUMBERS if name in options},
        **_tls(options),
    }
    if address.hosts:
        known["host"] = [host for host, _ in address.hosts]
        known["port"] = [port or 5432 for _, port in address.hosts]
    if most := terms.statement_timeout.total_seconds():
        known.setdefault("command_timeout", most + _GRACE)
    more = pooler.asyncpg_arguments(terms.settings) if terms.behind_pooler else {}
    return {**{name: value for name, value in known.items() if value is not None}, **more, **given}


def _first_message(terms: Terms) -> dict[str, str]:
    """Return the settings of asyncpg's startup message, beside user and database."""
    options = terms.address.options
    name = options.get("application_name") or options.get("fallback_application_name")
    # A pooler takes no settings with a connection, which is none of the server's.
    settings = {} if terms.behind_pooler else dict(terms.settings)
    return settings | {
        key: value for key, value in (("application_name", name), ("options", terms.words)) if value
    }


def _tls(options: Mapping[str, str]) -> dict[str, Any]:
    """Return asyncpg's arguments for TLS; files are read with each connection."""
    found = {name: options[name] for name in _TLS if name in options}
    if found.get("sslrootcert") == "system":
        del found["sslrootcert"], found["sslmode"]
        context = ssl.create_default_context()
        if cert := found.get("sslcert"):
            context.load_cert_chain(cert, found.get("sslkey"), found.get("sslpassword"))
        direct = found.get("sslnegotiation") == "direct"
        return {"ssl": context, "direct_tls": direct or None}
    return {"dsn": f"postgresql://?{urlencode(found)}"} if found else {}


def _for_psycopg(terms: Terms) -> dict[str, Any]:
    address, given = terms.address, dict(terms.connect_args)
    theirs = {k: v for k, v in address.options.items() if k not in (*_OURS, "options")}
    known: dict[str, Any] = {
        "user": address.url.username,
        "password": address.url.password,
        "dbname": address.url.database,
        **_ALIVE,
        **theirs,
        "connect_timeout": max(2, int(terms.wait)),
        "target_session_attrs": terms.target,
    }
    if address.hosts:
        known["host"] = ",".join(host for host, _ in address.hosts)
        known["port"] = ",".join(str(port or "") for _, port in address.hosts)
    ours = "" if terms.behind_pooler else startup_options.joined(terms.settings)
    words = [ours, terms.words, given.pop("options", "")]
    known["options"] = " ".join(filter(None, words)) or None
    most = terms.statement_timeout.total_seconds()
    known["async_creator_fn"] = connecting_within(most + _GRACE if most else None)
    more = pooler.psycopg_arguments() if terms.behind_pooler else {}
    return {**{name: value for name, value in known.items() if value is not None}, **more, **given}


def _wait(address: Address, max_wait: timedelta) -> float:
    if "connect_timeout" in address.options:
        seconds = float(address.options["connect_timeout"])
        return max(seconds, 2.0) if seconds > 0 else _ENDLESS
    # So that hosts that do not answer leave time for the next one.
    return max(1.0, max_wait.total_seconds() / max(1, len(address.hosts)))


def _target(address: Address, *, replica: bool) -> str | None:
    if len(address.hosts) > 1:
        wanted = "prefer-standby" if replica else "read-write"
        return address.options.get("target_session_attrs", wanted)
    return address.options.get("target_session_attrs")


def _check_names(connect_args: Mapping[str, Any], driver: str) -> None:
    """Check the arguments' names, which the driver would check much later."""
    module: Any = import_module(driver)
    made = module.connect if driver == "asyncpg" else module.AsyncConnection.connect
    known = {*inspect.signature(made).parameters, "async_creator_fn"}
    if driver == "asyncpg":
        known |= {"prepared_statement_name_func", "prepared_statement_cache_size"}
    else:
        known |= {option.keyword.decode() for option in module.pq.Conninfo.get_defaults()}
    if unknown := [name for name in connect_args if name not in known]:
        raise ValueError(f"connect_args has {', '.join(unknown)}, which {driver} does not take.")

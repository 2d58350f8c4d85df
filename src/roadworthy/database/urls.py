"""`Address`: the URL of a database, in SQLAlchemy's form or in libpq's.

Providers of PostgreSQL hand out URLs for libpq: several hosts with ports of their own, and options
after the question mark. No message of this module repeats a password.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from roadworthy.database.postgresql.libpq_options import checked

__all__ = ["Address", "address_of"]

DRIVERS: Final = {
    "sqlite": ("sqlite+aiosqlite", "aiosqlite", "sqlite"),
    "sqlite+aiosqlite": ("sqlite+aiosqlite", "aiosqlite", "sqlite"),
    "postgres": ("postgresql+asyncpg", "asyncpg", "postgresql"),
    "postgresql": ("postgresql+asyncpg", "asyncpg", "postgresql"),
    "postgresql+asyncpg": ("postgresql+asyncpg", "asyncpg", "postgresql"),
    "postgresql+psycopg": ("postgresql+psycopg", "psycopg", "postgresql"),
}
"""By scheme of the URL: SQLAlchemy's scheme, the driver's module, and our extra."""

Host = tuple[str, int | None]
_NAME: Final = re.compile(r"[A-Za-z]\w*")
_WITH_AT: Final = ("user", "password", "sslpassword", "application_name", "host", "options")
"""Options whose values may contain an @ that is not percent-encoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The address of a database: hosts, user, driver, and the other options apart."""

    url: URL
    """With the driver's name; without options, which may hold passwords as well."""
    hosts: tuple[Host, ...] = ()
    """Hosts of PostgreSQL, in the order to try them; empty for the driver's default."""
    options: Mapping[str, str]
    """The other options of the URL, by libpq's names, checked for this driver."""

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)

    @property
    def is_postgresql(self) -> bool:
        """Return whether the database is PostgreSQL, and not a file of SQLite."""
        return self.url.get_backend_name() == "postgresql"

    @property
    def driver(self) -> str:
        """Return the name of the driver: asyncpg, psycopg or aiosqlite."""
        return self.url.get_driver_name()


def address_of(url: str | URL) -> Address:
    """Return the address of a URL.

    Raises:
        ValueError: The URL names a database, a driver or an option that is not supported.
        ModuleNotFoundError: The driver is not installed.
    """
    parsed, hosts = _parsed(url)
    name = _driver(parsed)
    if parsed.get_backend_name() != "postgresql":
        return Address(url=_of_sqlite(parsed.set(drivername=name)), options={})
    return _of_postgresql(parsed.set(drivername=name), hosts)


@dataclass(frozen=True, slots=True)
class _Pieces:
    """A URL that was cut at its punctuation; nothing of it is decoded."""

    before: str
    """All before the question mark."""
    scheme: str
    user: str
    """User and password, with the @ behind them."""
    hosts: str
    path: str
    """With its slash."""
    query: str | None

    @classmethod
    def of(cls, url: str) -> "_Pieces":
        before, mark, query = url.partition("?")
        scheme, _, rest = before.partition("://")
        place, slash, path = rest.partition("/")
        user, at, hosts = place.rpartition("@")
        return cls(before, scheme, user + at, hosts, slash + path, query if mark else None)

    @property
    def is_sqlite(self) -> bool:
        return self.scheme.startswith("sqlite")

    @property
    def has_several_hosts(self) -> bool:
        return "," in self.hosts and not self.is_sqlite


def _parsed(url: str | URL) -> tuple[URL, str | None]:
    """Return the URL, and libpq's list of hosts, which SQLAlchemy does not know."""
    if isinstance(url, URL):
        return url, None
    pieces = _Pieces.of(url)
    parsed = _without_query(pieces)
    if pieces.query is not None:
        alone = "@" not in pieces.user + pieces.path
        parsed = parsed.set(query=_query(pieces.query, alone=alone))
    return parsed, pieces.hosts if pieces.has_several_hosts else None


def _without_query(pieces: _Pieces) -> URL:
    """Return the URL without its options, and without a list of hosts.

    Raises:
        ValueError: A character of the password was taken for punctuation.
    """
    several = pieces.has_several_hosts
    if several and "@" in pieces.path:  # the slash was one of the password, and so the "hosts"
        raise _unreadable()
    text = f"{pieces.scheme}://{pieces.user}{pieces.path}" if several else pieces.before
    try:
        parsed = make_url(text)
    except (ArgumentError, ValueError):  # their texts may show a part of the password
        raise _unreadable() from None
    if not pieces.is_sqlite and _has_raw_at(text, parsed.database):
        raise _unreadable()
    if parsed.host is not None and parsed.host not in pieces.hosts and not several:
        raise _unreadable()  # brackets of a password: no host stands in them
    return parsed


def _has_raw_at(before: str, database: str | None) -> bool:
    """Return whether an @ in the name of a database was not percent-encoded."""
    rest = before
    while (rest := rest.partition("/")[2]) and "@" in rest:
        if unquote(rest) == database:
            return True
    return False


def _unreadable() -> ValueError:
    return ValueError(
        "That is no URL of a database: write sqlite:///file.db or "
        "postgresql://user:password@host:5432/name. In a user or a password, percent-encode what "
        "is no letter or digit: %40 for @, %2F for /, %3A for :, %3F for ? and %23 for #. "
        "urllib.parse.quote(password, safe='') does it."
    )


def _query(text: str, *, alone: bool) -> dict[str, tuple[str, ...] | str]:
    """Return the options; `alone` says that there is no user before the host.

    A question mark in a password makes the rest of the URL look like options.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if not _NAME.fullmatch(name) or (alone and "@" in value and name not in _WITH_AT):
            raise _unreadable()
        found[name] = (*found.get(name, ()), value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _driver(url: URL) -> str:
    if url.drivername not in DRIVERS:
        raise ValueError(
            f"Database takes sqlite:///file.db or postgresql://host/name, not "
            f"{url.drivername}://. Drivers that may be named: {', '.join(DRIVERS)}."
        )
    name, module, extra = DRIVERS[url.drivername]
    try:
        __import__(module)
    except ModuleNotFoundError as missing:
        wanted = module if module == "psycopg" else f"'roadworthy[{extra}]'"
        raise ModuleNotFoundError(f"{name}:// needs {module}: pip install {wanted}") from missing
    return name


def _of_sqlite(url: URL) -> URL:
    if unknown := [name for name in url.query if name != "uri"]:
        raise ValueError(f"sqlite:// takes no {', '.join(unknown)} in its URL: use connect_args.")
    return url


def _of_postgresql(url: URL, listed: str | None) -> Address:
    if any("@" in (part or "") for part in (url.host, listed)):  # the end of a password
        raise _unreadable()
    options = dict(url.query)
    hosts = _hosts(listed, options) or (((url.host, url.port),) if url.host else ())
    given = checked(_single(options), driver=url.get_driver_name())
    host, port = _shown(hosts)
    url = URL.create(
        url.drivername,
        username=given.pop("user", url.username),
        password=given.pop("password", None) or url.password,
        host=host,
        port=port,
        database=given.pop("dbname", None) or url.database,
    )
    return Address(url=url, hosts=hosts, options=given)


def _hosts(listed: str | None, options: dict[str, tuple[str, ...] | str]) -> tuple[Host, ...]:
    """Return the hosts of the options, or else of the list before the path."""
    given, ports = options.pop("host", None), options.pop("port", None)
    if given is not None:
        return _with_ports(_each(given), _each(ports) if ports else [])
    return _with_ports(listed.split(","), []) if listed is not None else ()


def _each(value: tuple[str, ...] | str) -> list[str]:
    values = (value,) if isinstance(value, str) else value
    return [one for many in values for one in many.split(",")]


def _with_ports(hosts: list[str], ports: list[str]) -> tuple[Host, ...]:
    """Return each host with its port: its own, or one of the list of ports."""
    if len(ports) not in {0, 1, len(hosts)}:
        raise ValueError(f"The URL has {len(hosts)} hosts and {len(ports)} ports.")
    ports = ports if len(ports) == len(hosts) else (ports or [""]) * len(hosts)
    return tuple(_host(host, port) for host, port in zip(hosts, ports, strict=True))


def _host(text: str, port: str) -> Host:
    host = unquote(text)
    if host.startswith("["):  # the colons of IPv6 separate no port
        host, _, own = host[1:].partition("]")
        own = own.removeprefix(":")
    elif host.startswith("/"):
        own = ""
    else:
        host, _, own = host.partition(":")
    number = own or port
    if not host or (number and not number.isdecimal()):
        raise ValueError("The URL's hosts are a list like host1:5432,host2:5432.")
    return host, int(number) if number else None


def _single(options: Mapping[str, tuple[str, ...] | str]) -> dict[str, str]:
    twice = [name for name, value in options.items() if not isinstance(value, str)]
    if twice:
        raise ValueError(f"The URL says {' and '.join(twice)} more than once.")
    return {name: value for name, value in options.items() if isinstance(value, str)}


def _shown(hosts: tuple[Host, ...]) -> tuple[str | None, int | None]:
    """Return host and port of a URL for people: the drivers are given the list."""
    if len(hosts) == 1:
        return hosts[0]
    named = (host if port is None else f"{host}:{port}" for host, port in hosts)
    return ",".join(named) or None, None

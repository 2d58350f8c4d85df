"""libpq's options in a URL of PostgreSQL, and those that a driver supports.

The names are libpq's, whose documentation says what each does:
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
psycopg hands them on to libpq. asyncpg knows some, others are done for it, and what it cannot
do is refused: a URL that asks for more security must not get less.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Final

__all__ = ["checked"]

_SWITCH: Final = ("0", "1")
_TLS: Final = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_YES: Final = ("true", "1", "yes", "on")
_NO: Final = ("false", "0", "no", "off")

_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer", "require"),
    "target_session_attrs": (
        *("any", "read-write", "read-only"),
        *("primary", "standby", "prefer-standby"),
    ),
    "load_balance_hosts": ("disable", "random"),
    "sslnegotiation": ("postgres", "direct"),
    "sslcertmode": ("disable", "allow", "require"),
    "ssl_min_protocol_version": _TLS,
    "ssl_max_protocol_version": _TLS,
    "keepalives": _SWITCH,
    "sslsni": _SWITCH,
    "sslcompression": _SWITCH,
    "gssdelegation": _SWITCH,
    "pgbouncer": (*_YES, *_NO),
}
_NUMBERS: Final = (
    *("connect_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count"),
    *("tcp_user_timeout", "connection_limit"),
    *("command_timeout", "prepared_statement_cache_size"),  # asyncpg's and SQLAlchemy's own
)
_TEXTS: Final = (
    *("user", "password", "dbname", "passfile", "service", "servicefile"),
    *("application_name", "fallback_application_name", "options", "client_encoding"),
    *("sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "krbsrvname", "gsslib"),
    "schema",
)
_OURS: Final = ("pgbouncer", "connection_limit", "schema")
"""What Prisma has in its URLs, and hosts hand out: done here, for either driver."""
_OF_ASYNCPG: Final = ("command_timeout", "prepared_statement_cache_size", "servicefile")

_HARMLESS: Final[Mapping[str, tuple[str, ...]]] = {
    "channel_binding": ("disable", "prefer"),
    "gssencmode": ("disable", "prefer"),
    "gssdelegation": ("0",),
    "sslcompression": _SWITCH,
    "sslcertmode": ("allow",),
    "sslsni": ("1",),
    "client_encoding": ("utf8", "utf-8", "unicode", "auto"),
    "min_protocol_version": ("3.0",),
    "max_protocol_version": ("3.0", "3.2", "latest"),
}
"""What asyncpg does anyway, or may leave: nothing has to be done for these values."""

_INSTEAD: Final[Mapping[str, str]] = {
    "channel_binding": "sslmode=verify-full, which proves as well who the server is",
}

_ELSEWHERE: Final[Mapping[str, str]] = {
    "pool_size": "Database(url, pool_size=...)",
    "max_overflow": "Database(url, pool_size=...): there is no overflow",
    "pool_timeout": "Database(url, max_wait=timedelta(seconds=...))",
    "statement_timeout": "Database(url, statement_timeout=timedelta(seconds=...))",
    "socket_timeout": "Database(url, statement_timeout=timedelta(seconds=...))",
    "timeout": "connect_timeout=... in the URL",
    "search_path": "schema=... in the URL, or options=-csearch_path%3D...",
    "currentSchema": "schema=... in the URL",
    "timezone": "options=-ctimezone%3D... in the URL",
    "statement_cache_size": "pgbouncer=true in the URL, or Database(url, connect_args=...)",
    "prepare_threshold": "pgbouncer=true in the URL, or Database(url, connect_args=...)",
    "direct_tls": "sslnegotiation=direct in the URL",
    "sslaccept": "sslmode=... in the URL",
    "user_name": "user=... in the URL",
}


def checked(options: Mapping[str, str], *, driver: str) -> dict[str, str]:
    """Return the options of a URL by libpq's names, if the driver supports them.

    Raises:
        ValueError: One is unknown, has a value that it does not take, or asks for what this
            driver cannot do. The text names it, and no other option's value.
    """
    found = _renamed(options)
    known = _known_to(driver)
    for name, value in found.items():
        if name not in known:
            raise ValueError(_unknown(name, driver, known))
        _check_value(name, value)
        if driver == "asyncpg" and value.lower() not in _HARMLESS.get(name, (value.lower(),)):
            instead = _INSTEAD.get(name, f"{name}={_HARMLESS[name][-1]}")
            raise ValueError(
                f"The URL says {name}={value}, which asyncpg cannot do. psycopg can: write "
                f"postgresql+psycopg://..., or leave {name} out, for {instead}."
            )
    _check_system_roots(found)
    return found


def _renamed(options: Mapping[str, str]) -> dict[str, str]:
    """Return the options with those of other libraries under libpq's names."""
    found = dict(options)
    if "database" in found:
        found.setdefault("dbname", found.pop("database"))
    if "ssl" in found:
        value = found.pop("ssl").lower()
        # As libpq has it, for the URLs of JDBC: encrypted, whoever the server is.
        value = "require" if value in _YES else "disable" if value in _NO else value
        _check_value("sslmode", value, written="ssl")
        if found.setdefault("sslmode", value) != value:
            raise ValueError(f"The URL says ssl and sslmode={found['sslmode']}: keep sslmode.")
    return found


def _known_to(driver: str) -> set[str]:
    known = {*_CHOICES, *_NUMBERS, *_TEXTS, *_HARMLESS}
    if driver == "asyncpg":
        return known
    # Whatever the libpq that is installed knows, and nothing that it does not.
    psycopg: Any = import_module("psycopg")
    theirs = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
    return {*theirs, *_OURS}


def _unknown(name: str, driver: str, known: set[str]) -> str:
    if name in _ELSEWHERE and name not in known:
        return f"The URL says {name}, which is given otherwise: {_ELSEWHERE[name]}."
    if name in _OF_ASYNCPG:
        return f"The URL says {name}, which {driver} does not know."
    close = get_close_matches(name, known, 1)
    means = f" Do you mean {close[0]}?" if close else ""
    more = "" if driver == "psycopg" or close else " psycopg may: postgresql+psycopg://..."
    return f"The URL says {name}, which {driver} does not know.{means}{more}"


def _check_value(name: str, value: str, *, written: str = "") -> None:
    choices = _CHOICES.get(name)
    if choices and value not in choices:
        raise ValueError(f"{written or name} in the URL is one of: {', '.join(choices)}.")
    if name in _NUMBERS and not value.removeprefix("-").isdecimal():
        raise ValueError(f"{name} in the URL is a whole number.")
    if name == "connection_limit" and int(value) < 1:
        raise ValueError("connection_limit in the URL is 1 or more.")
    if not value and name in _TEXTS and name.startswith("ssl"):
        raise ValueError(f"{name} in the URL is empty.")
    if "\0" in value:
        raise ValueError(f"{name} in the URL has a zero byte.")


def _check_system_roots(found: dict[str, str]) -> None:
    """Check that host names are verified with the system's roots, as libpq does."""
    if found.get("sslrootcert") == "system" and found.setdefault("sslmode", "verify-full") != (
        "verify-full"
    ):
        raise ValueError("sslrootcert=system in the URL goes with sslmode=verify-full only.")

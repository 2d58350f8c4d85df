"""Databases that are emptied after a test instead of dropped: the next one takes them.

To create and drop a database of PostgreSQL takes it a checkpoint, and hundreds of times as
long as to drop what is in it. What a test did to the database itself (its name, its limits,
what it lets in) is noticed, and such a database is dropped.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
from psycopg import sql

__all__ = ["database_on", "keeping"]

_waiting: dict[str, list[str]] = {}
"""By the URL of a server: databases that are empty."""

# No test here ends the server, which alone could lose a commit by this.
_SETTINGS = ["synchronous_commit=off"]


@contextmanager
def keeping(server: str) -> Iterator[None]:
    """Keep the databases of a server until the end, for one test after the other."""
    _waiting[server] = []
    try:
        yield
    finally:
        for name in _waiting.pop(server):
            _drop(server, name)


@contextmanager
def database_on(server: str) -> Iterator[str]:
    """Yield the URL of a new, empty database, and drop it afterwards, or keep it, emptied."""
    waiting = _waiting.get(server)
    name = waiting.pop() if waiting else _create(server, kept=waiting is not None)
    url = urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    try:
        yield url
    finally:
        if waiting is not None and _was_emptied(server, name, url):
            waiting.append(name)
        else:
            _drop(server, name)


def _create(server: str, *, kept: bool) -> str:
    name = f"roadworthy_test_{uuid4().hex[:12]}"
    _execute(server, "CREATE DATABASE {}", name)
    if kept:
        _execute(server, "ALTER DATABASE {} SET synchronous_commit = off", name)
    return name


def _drop(server: str, name: str) -> None:
    _execute(server, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def _execute(server: str, statement: str, name: str) -> None:
    with closing(psycopg.connect(server, autocommit=True, connect_timeout=10)) as connection:
        connection.execute(sql.SQL(statement).format(sql.Identifier(name)))


def _was_emptied(server: str, name: str, url: str) -> bool:
    try:
        with closing(psycopg.connect(server, autocommit=True, connect_timeout=10)) as admin:
            if not _is_as_created(admin, name) or not _ended_sessions(admin, name):
                return False
        with closing(psycopg.connect(url, autocommit=True, connect_timeout=10)) as connection:
            _empty(connection)
    except psycopg.Error:
        return False
    return True


_AS_CREATED = """
SELECT datallowconn AND NOT datistemplate AND datconnlimit = -1
    AND pg_get_userbyid(datdba) = current_user
    AND datacl IS NULL
    AND ARRAY(SELECT unnest(setconfig) FROM pg_db_role_setting WHERE setdatabase = d.oid) = %s
    AND NOT EXISTS (SELECT FROM pg_prepared_xacts WHERE database = datname)
    AND NOT EXISTS (SELECT FROM pg_replication_slots WHERE database = datname)
FROM pg_database d WHERE datname = %s
"""


def _is_as_created(admin: psycopg.Connection, name: str) -> bool:
    return admin.execute(_AS_CREATED, [_SETTINGS, name]).fetchone() == (True,)


def _ended_sessions(admin: psycopg.Connection, name: str) -> bool:
    ended = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s"
    return all(row[0] for row in admin.execute(ended, [name]))


_OBJECTS = """
SELECT 'SCHEMA', nspname FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
UNION ALL SELECT 'EXTENSION', extname FROM pg_extension WHERE extname <> 'plpgsql'
UNION ALL SELECT 'EVENT TRIGGER', evtname FROM pg_event_trigger
UNION ALL SELECT 'PUBLICATION', pubname FROM pg_publication
UNION ALL SELECT 'SERVER', srvname FROM pg_foreign_server
"""


def _empty(connection: psycopg.Connection) -> None:
    with connection.transaction():
        for kind, name in connection.execute(_OBJECTS).fetchall():
            drop = sql.SQL("DROP {} IF EXISTS {} CASCADE")
            connection.execute(drop.format(sql.SQL(kind), sql.Identifier(name)))
        connection.execute("SELECT lo_unlink(oid) FROM pg_largeobject_metadata")
        connection.execute("CREATE SCHEMA public")
        version = connection.info.server_version
        if version >= 140000:
            connection.execute("ALTER SCHEMA public OWNER TO pg_database_owner")
        usage = "USAGE" if version >= 150000 else "ALL"
        connection.execute(f"GRANT {usage} ON SCHEMA public TO PUBLIC")

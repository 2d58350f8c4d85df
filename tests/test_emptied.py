"""A database that an earlier test had is like one that was never used."""

import contextlib

import psycopg
import pytest

from support import emptied

STATE = """
SELECT (SELECT array_agg(nspname::text || pg_get_userbyid(nspowner) || nspacl::text
        ORDER BY nspname) FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp'),
    (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace),
    (SELECT array_agg(extname::text) FROM pg_extension),
    (SELECT count(*) FROM pg_largeobject_metadata),
    (SELECT count(*) FROM pg_event_trigger),
    (SELECT count(*) FROM pg_publication),
    (SELECT count(*) FROM pg_type WHERE typnamespace = 'public'::regnamespace),
    (SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace)
"""
USED = """
CREATE TABLE a (id serial PRIMARY KEY, kind text);
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE SCHEMA other CREATE TABLE b (x int) CREATE VIEW c AS SELECT * FROM b;
CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER t ON ddl_command_end EXECUTE FUNCTION f();
CREATE PUBLICATION everything FOR ALL TABLES;
SELECT lo_create(0);
"""


@pytest.fixture
def server(postgres_server, monkeypatch):
    """The server, with no databases kept from before."""
    monkeypatch.setattr(emptied, "_waiting", {})
    with emptied.keeping(postgres_server):
        yield postgres_server


def state(url):
    with contextlib.closing(psycopg.connect(url)) as connection:
        return connection.execute(STATE).fetchone()


def test_nothing_is_left_in_a_database_that_is_used_again(server):
    with emptied.database_on(server) as first:
        before = state(first)
        with contextlib.closing(psycopg.connect(first, autocommit=True)) as connection:
            connection.execute(USED)
        assert state(first) != before

    with emptied.database_on(server) as second:
        assert (second, state(second)) == (first, before)


def test_whoever_was_connected_is_no_longer(server):
    with emptied.database_on(server) as url:
        left = psycopg.connect(url)
        left.execute("CREATE TABLE a ()")

    with pytest.raises(psycopg.OperationalError):
        left.execute("SELECT 1")
    left.close()


def test_two_at_once_are_two(server):
    with emptied.database_on(server) as one, emptied.database_on(server) as other:
        assert one != other


@pytest.mark.parametrize(
    "change",
    [
        "ALTER DATABASE {} SET lock_timeout = '1s'",
        "ALTER DATABASE {} CONNECTION LIMIT 1",
        "ALTER DATABASE {} ALLOW_CONNECTIONS false",
        "ALTER DATABASE {} RENAME TO {}_elsewhere",
        "REVOKE CONNECT ON DATABASE {} FROM PUBLIC",
    ],
)
def test_a_database_that_is_itself_changed_is_not_used_again(server, change):
    with emptied.database_on(server) as first:
        name = first.rpartition("/")[2]
        with contextlib.closing(psycopg.connect(server, autocommit=True)) as admin:
            admin.execute(change.format(name, name))

    with emptied.database_on(server) as second:
        assert second != first
    with contextlib.closing(psycopg.connect(server, autocommit=True)) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name}_elsewhere")
        there = admin.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchall()
    assert there == []


def test_none_is_left_at_the_end(postgres_server, monkeypatch):
    monkeypatch.setattr(emptied, "_waiting", {})
    with emptied.keeping(postgres_server), emptied.database_on(postgres_server) as url:
        pass

    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)

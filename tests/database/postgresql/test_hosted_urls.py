"""The URL that hosted PostgreSQL hands out: what it says is done, or refused by name."""

import re
import shutil
import socket
import sys
from urllib.parse import quote

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url

from roadworthy.database import Database, reason
from roadworthy.database.postgresql.libpq_options import checked
from roadworthy.database.postgresql.startup_options import joined, split
from roadworthy.problems import ServiceUnavailable
from support.postgres import private_postgres, streaming_replica

DRIVERS = ["postgresql+asyncpg", "postgresql+psycopg"]
SECRET = "hunter2-hunter2"


@pytest.fixture(params=DRIVERS)
def url(request, postgres_url):
    return postgres_url.replace("postgresql", request.param, 1)


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory):
    with private_postgres(tls=True) as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE ROLE ann LOGIN PASSWORD 'geheim'")
        # Where everybody may read it: the server's folder is its own.
        readable = tmp_path_factory.mktemp("tls") / "root.crt"
        shutil.copy(server.certificate, readable)
        server.root = readable
        yield server


async def shown(url, name, **options):
    async with Database(url, **options) as db, db.read() as read:
        return (await read.execute(text(f"SHOW {name}"))).scalar_one()


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("query", "setting", "value"),
    [
        ("application_name=shop", "application_name", "shop"),
        ("fallback_application_name=shop", "application_name", "shop"),
        ("fallback_application_name=a&application_name=b", "application_name", "b"),
        ("options=-csearch_path%3Dapp", "search_path", "app"),
        ("options=-c%20search_path%3Dapp,public", "search_path", "app,public"),
        ("options=--search-path%3Dapp%20-c%20work_mem%3D8MB", "work_mem", "8MB"),
        ("options=-c%20datestyle%3DISO,%5C%20DMY", "datestyle", "ISO, DMY"),
        ("options=-c%20statement_timeout%3D7s", "statement_timeout", "7s"),
        ("options=-c%20search_path%3Dapp", "statement_timeout", "30s"),
        ("schema=App", "search_path", '"App"'),
        ("schema=app&options=-c%20work_mem%3D8MB", "search_path", '"app"'),
        ("connect_timeout=5", "application_name", ""),
        ("client_encoding=utf8", "client_encoding", "UTF8"),
        ("sslmode=disable", "application_name", ""),
        ("sslmode=allow", "application_name", ""),
        ("sslmode=prefer", "application_name", ""),
        ("ssl=false", "application_name", ""),
        ("channel_binding=prefer", "application_name", ""),
        ("channel_binding=disable", "application_name", ""),
        ("gssencmode=disable", "application_name", ""),
        ("target_session_attrs=read-write", "transaction_read_only", "on"),
        ("target_session_attrs=primary", "application_name", ""),
        ("target_session_attrs=any", "application_name", ""),
        ("keepalives=1&keepalives_idle=20&keepalives_interval=5", "tcp_keepalives_idle", "7200"),
        ("pgbouncer=false&connection_limit=3", "application_name", ""),
        ("pgbouncer=true&connection_limit=1", "statement_timeout", "30s"),
        ("pgbouncer=true&schema=app", "search_path", "app"),
    ],
)
async def test_what_it_says_is_done(url, query, setting, value):
    found = await shown(f"{url}?{query}", setting)
    if setting == "tcp_keepalives_idle":
        assert found  # the server's own; ours is asked below
    else:
        assert found == value


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("sslmodus=require", r"sslmodus.*sslmode"),
        ("sslmode=requrie", "sslmode.*verify-full"),
        ("sslmode=", "sslmode"),
        ("target_session_attr=any", "target_session_attr"),
        ("target_session_attrs=write", "read-write"),
        ("channel_binding=yes", "channel_binding.*prefer"),
        ("connect_timeout=soon", "connect_timeout.*number"),
        ("keepalives=on", "keepalives"),
        ("connection_limit=0", "connection_limit"),
        ("connection_limit=many", "connection_limit"),
        ("pgbouncer=maybe", "pgbouncer"),
        ("pool_timeout=5", "max_wait"),
        ("search_path=app", "schema="),
        ("currentSchema=app", "schema="),
        ("statement_timeout=5", "statement_timeout=timedelta"),
        ("application_name=a&application_name=b", "more than once"),
        ("options=-c", "options"),
        ("options=-c%20statement_timeout%3Dlong", "statement_timeout"),
        ("sslrootcert=system&sslmode=require", "verify-full"),
        ("host=a,b&port=1,2,3", "2 hosts and 3 ports"),
        ("host=a&port=x", "hosts"),
        ("ssl=true&sslmode=disable", "keep sslmode"),
        ("nonsense", "nonsense"),
    ],
)
def test_what_it_cannot_say_is_refused_by_name_at_once(driver, query, named):
    url = f"{driver}://ann:{SECRET}@127.0.0.1/shop?{query}"
    with pytest.raises(ValueError, match=named) as refused:
        Database(url)
    assert SECRET not in str(refused.value)
    with pytest.raises(ValueError, match=named):
        Database(f"{driver}://ann@127.0.0.1/shop", replica=url)


@pytest.mark.parametrize(
    "query",
    ["channel_binding=require", "gssencmode=require", "sslsni=0", "client_encoding=latin1"],
)
def test_less_security_than_asked_for_is_refused_and_psycopg_named(query):
    name = query.partition("=")[0]
    with pytest.raises(ValueError, match=rf"{name}.*postgresql\+psycopg://"):
        Database(f"postgresql://ann:{SECRET}@db/shop?{query}")
    Database(f"postgresql+psycopg://ann:{SECRET}@db/shop?{query}")


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ann:{SECRET}:x@[::1]:zz/shop",
        f"postgresql://ann:a/{SECRET}@host:{SECRET}/shop",
        f"postgresql://ann:a@b:{SECRET}@host/shop?{SECRET}",
        f"postgresql://ann@h/shop?password={SECRET}&nonsense=1",
        f"{SECRET}",
        f"mysql://ann:{SECRET}@h/shop",
    ],
)
def test_no_refusal_repeats_a_password(url):
    with pytest.raises(ValueError, match=r".") as refused:
        Database(url)
    assert SECRET not in str(refused.value)


PASSWORDS = st.text(st.sampled_from("@/:?#,[]%&= a1"), max_size=6)
TARGETS = ["h/shop", "h:5432/shop?sslmode=prefer", "h1,h2:2/shop", "[::1]/shop", "/shop?host=/run"]


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("target", TARGETS)
@given(before=PASSWORDS, after=PASSWORDS)
@example(before="@", after="")
@example(before="@[", after="]")
@example(before="[", after="]@")
@example(before="1234@", after="")
@example(before="1234?", after="")
@example(before="12,", after="/")
@example(before="1234/", after="?a=1")
def test_an_unescaped_password_is_never_shown(driver, target, before, after):
    password = f"{before}{SECRET}{after}"
    assert SECRET not in all_told_of(f"{driver}://ann:{password}@{target}")


def all_told_of(url):
    """Return what is told of a URL, whether it is taken or refused."""
    try:
        db = Database(url)
    except ValueError as refused:
        return str(refused)
    return f"{db!r} {db.url}"


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("mark", ["@", "/@", "1?", ":1@"])
def test_a_password_that_would_be_a_host_is_refused_and_says_percent_encode(driver, mark):
    for target in TARGETS:
        with pytest.raises(ValueError, match="percent-encode"):
            Database(f"{driver}://ann:x{mark}{SECRET}@{target}")


def test_so_may_the_name_of_a_database_be():
    assert Database("postgresql://ann:x@h/a%40b").url.database == "a@b"
    assert Database("sqlite:///a@b.db").url.database == "a@b.db"


@pytest.mark.parametrize("password", ["p@ss/w?rd:#,[]%&= ", "@", "/", "%40"])
@pytest.mark.parametrize("target", TARGETS)
def test_one_that_is_percent_encoded_is_taken_as_it_was(target, password):
    db = Database(f"postgresql://ann:{quote(password, safe='')}@{target}")
    assert db.url.password == password


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_password_among_the_options_is_used_and_never_shown(driver):
    db = Database(f"{driver}://127.0.0.1/shop?user=ann&password={SECRET}")
    assert SECRET not in repr(db) + str(db.url)
    assert (db.url.username, db.url.password) == ("ann", SECRET)


@pytest.mark.parametrize("number", [10, 1.0, "5", None, True])
@pytest.mark.parametrize("name", ["max_wait", "statement_timeout", "drain"])
def test_a_number_for_a_duration_is_refused_where_it_is_written(name, number):
    with pytest.raises(TypeError, match=f"{name} is .* and has to be a time"):
        Database("sqlite://", **{name: number})


@pytest.mark.parametrize("size", [0, -1, 1.0, "5", True, None])
def test_a_size_that_is_none_is_refused_where_it_is_written(size):
    with pytest.raises((TypeError, ValueError), match="pool_size"):
        Database("sqlite://", pool_size=size)


@pytest.mark.parametrize("driver", DRIVERS)
def test_an_argument_that_the_driver_does_not_take_is_refused(driver):
    with pytest.raises(ValueError, match=f"sslmodus.*{driver.partition('+')[2]}"):
        Database(f"{driver}://h/shop", connect_args={"sslmodus": "x"})


def port_of_nobody():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


async def test_of_several_hosts_the_one_that_will_do_is_taken(url):
    parts = make_url(url)
    closed, there = port_of_nobody(), f"{parts.host}:{parts.port or 5432}"
    driver, name = parts.drivername, parts.database
    for several in (
        f"{driver}://postgres@127.0.0.1:{closed},{there}/{name}",
        f"{driver}://postgres@/{name}?host=127.0.0.1:{closed}&host={there}",
        (
            f"{driver}://postgres@/{name}?host=127.0.0.1,{parts.host}&port={closed},"
            f"{parts.port or 5432}&target_session_attrs=primary"
        ),
    ):
        async with Database(several) as db, db.begin() as tx:
            assert await tx.scalar(text("SELECT current_database()")) == name


async def test_a_host_that_is_silent_leaves_time_for_the_next_one(url):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        parts = make_url(url)
        hosts = f"127.0.0.1:{silent.getsockname()[1]},{parts.host}:{parts.port or 5432}"
        several = f"{parts.drivername}://postgres@{hosts}/{parts.database}"
        async with Database(several) as db:
            await db.ping()


@pytest.mark.parametrize("driver", DRIVERS)
async def test_among_two_servers_the_primary_is_found_and_a_replica_for_reading(driver):
    with private_postgres() as primary, streaming_replica(primary) as replica:
        hosts = f"127.0.0.1:{replica.port},127.0.0.1:{primary.port}"
        url = f"{driver}://postgres@{hosts}/postgres"
        async with Database(url, replica=url) as db:
            async with db.begin() as tx:
                assert await tx.scalar(text("SELECT inet_server_port()")) == primary.port
            async with db.read(replica=True) as read:
                assert await read.scalar(text("SELECT inet_server_port()")) == replica.port
            await db.ping(writes=True)
        async with Database(f"{driver}://postgres@127.0.0.1:{replica.port}/postgres") as db:
            await db.ping()
            with pytest.raises(ServiceUnavailable):
                await db.ping(writes=True)
            # What only a standby refuses, in words of its own: not while it follows.
            for isolation in (None, "SERIALIZABLE"):
                async with db.read() as read:
                    await read.execute(text("SELECT 1"))
                with pytest.raises(ServiceUnavailable):
                    async with db.begin(isolation=isolation) as tx:
                        await tx.execute(text("CREATE TABLE more (n int)"))


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_what_must_be_encrypted_never_goes_to_a_server_without_tls(
    postgres_url, driver, mode, tmp_path, encrypted
):
    url = postgres_url.replace("postgresql", driver, 1)
    async with Database(f"{url}?sslmode={mode}&sslrootcert={encrypted.root}") as db:
        with pytest.raises(ServiceUnavailable):
            await db.ping()
        with pytest.raises(ServiceUnavailable):
            async with db.begin() as tx:
                await tx.execute(text("SELECT 1"))


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(
    ("host", "query", "encrypts"),
    [
        ("127.0.0.1", "sslmode=require", True),
        ("127.0.0.1", "ssl=true", True),
        ("127.0.0.1", "sslmode=prefer", True),
        ("127.0.0.1", "sslmode=disable", False),
        ("127.0.0.1", "sslmode=verify-ca&sslrootcert={root}", True),
        ("localhost", "sslmode=verify-full&sslrootcert={root}", True),
        ("127.0.0.1", "sslmode=verify-full&sslrootcert={root}", None),  # not its name
        ("localhost", "sslmode=verify-full&sslrootcert=system", None),  # nobody vouches for it
        ("localhost", "sslrootcert=system", None),
        ("localhost", "sslmode=verify-full&sslrootcert=/nowhere", None),
        ("localhost", "sslmode=require&ssl_min_protocol_version=TLSv1.3", True),
    ],
)
async def test_a_real_server_with_tls_is_trusted_as_the_url_says(
    encrypted, driver, host, query, encrypts
):
    query = query.format(root=encrypted.root)
    url = f"{driver}://ann:geheim@{host}:{encrypted.port}/postgres?{query}"
    async with Database(url) as db:
        if encrypts is None:
            with pytest.raises(ServiceUnavailable) as refused:
                await db.ping()
            assert "geheim" not in reason(refused.value)
            return
        async with db.read() as read:
            asked = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            assert await read.scalar(text(asked)) is encrypts


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"port": 1}, r"127\.0\.0\.1.*1.*refused"),
        ({"database": "not_made"}, 'database "not_made" does not exist'),
        ({"password": "wrong"}, 'password authentication failed for user "ann"'),
        ({"username": "nobody_yet", "password": None}, "nobody_yet"),
        ({"host": "no-such-host.invalid"}, "no-such-host.invalid"),
    ],
)
async def test_whoever_cannot_log_in_is_503_and_told_why(encrypted, driver, change, says):
    url = URL.create(
        driver,
        username="ann",
        password="geheim",
        host="127.0.0.1",
        port=encrypted.port,
        database="postgres",
    ).set(**change)
    if change.get("password", "") is None:
        url = URL.create(driver, username="nobody_yet", host="127.0.0.1", port=encrypted.port)
    async with Database(url) as db:
        with pytest.raises(ServiceUnavailable) as refused:
            async with db.begin() as tx:
                await tx.execute(text("SELECT 1"))
    told = reason(refused.value)
    assert "geheim" not in told
    assert "wrong" not in told
    assert "\n" not in told
    assert re.search(says, told), told


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: whose options these are")
@pytest.mark.parametrize(("query", "idle"), [("", 30), ("?keepalives_idle=77", 77)])
async def test_a_machine_that_is_gone_is_noticed_by_the_kernel(postgres_url, query, idle):
    url = postgres_url.replace("postgresql", "postgresql+asyncpg", 1)
    async with Database(url + query) as db, db.engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        used = raw._transport.get_extra_info("socket")
        assert used.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert used.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == idle
        assert used.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10000


NAMES = st.from_regex(r"[a-z_]{1,9}(\.[a-z]{1,5})?", fullmatch=True)
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_settings_come_back_as_they_were_written(settings):
    assert split(joined(settings)) == (settings, "")


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=4))
def test_any_options_are_taken_or_refused_with_a_value_error(options):
    try:
        found = checked(options, driver="asyncpg")
    except ValueError:
        return
    assert len(found) <= len(options) + 1


ENV = """\
import asyncio
import os

from alembic import context

from roadworthy.database import Database


def run(connection):
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()


async def migrate(url):
    async with Database(url) as db, db.engine.begin() as connection:
        await connection.run_sync(run)


asyncio.run(migrate(os.environ["URL"]))
"""
REVISION = """\
from alembic import op

revision, down_revision = "1", None


def upgrade():
    op.execute("CREATE TABLE made (n int)")
"""


def test_alembic_takes_the_same_url(url, postgres_url, tmp_path, monkeypatch):
    (tmp_path / "versions").mkdir()
    (tmp_path / "env.py").write_text(ENV)
    (tmp_path / "script.py.mako").write_text("")
    (tmp_path / "versions" / "one.py").write_text(REVISION)
    query = (
        "sslmode=prefer&application_name=shop&options=-c%20work_mem%3D8MB&channel_binding=prefer"
    )
    monkeypatch.setenv("URL", f"{url}?{query}")
    config = Config()
    config.set_main_option("script_location", str(tmp_path))
    command.upgrade(config, "head")
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT count(*) FROM made").fetchone() == (0,)

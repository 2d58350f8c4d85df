"""Whatever fails, and whenever: what was acknowledged is there, once, and Depot comes back."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import sqlalchemy as sa

from faults.audit import audit, settle
from faults.load import Load
from faults.site import Site
from faults.table import Row, add
from support.postgres import PrivatePostgres, database_on, private_postgres
from support.proxy import Proxy

pytestmark = pytest.mark.timeout(240)

BEFORE, AFTER = 1.5, 2.5
Fault = Callable[[], None]


def suffer(where: str, name: str, site: Site, engine: sa.Engine, fault: Fault) -> None:
    """Have load on the site while the fault happens, and see that nothing came of it."""
    with Load(lambda: site.urls) as load:
        time.sleep(BEFORE)
        fault()
        ended = time.monotonic()
        site.wait_until_ready()
        time.sleep(AFTER)
        quiet_for = time.monotonic() - load.told.failed_at
    settle(engine)
    found = audit(engine, site.data / "mail", load)
    add(Row(where, name, load.told, found, load.told.failed_at - ended))

    assert (found.lost, found.doubled, found.half_done) == ([], [], [])
    assert load.told.outside == []
    assert len(load.told.orders) > 5
    assert quiet_for > 0.5, f"still failing: {load.told.errors}"


# --- one process on SQLite ------------------------------------------------------------


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own, which is soon full."""
    if os.geteuid() != 0:
        pytest.skip("needs root: to mount a small disk")
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("needs mount: it is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def sqlite_site(tmp_path: Path) -> Iterator[tuple[Site, sa.Engine]]:
    url = f"sqlite:///{tmp_path}/depot.db"
    with Site(tmp_path, database=url, servers=1, workers=0) as site:
        engine = sa.create_engine(url)
        yield site, engine
        engine.dispose()


def test_a_server_with_its_jobs_is_killed_again_and_again(sqlite_site):
    site, engine = sqlite_site

    def fault() -> None:
        for _ in range(4):
            time.sleep(1)
            site.kill_server()

    suffer("SQLite", "server killed (SIGKILL) four times", site, engine, fault)


def test_the_disk_is_full_for_a_while(tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        url = f"sqlite:///{disk}/depot.db"
        with Site(disk, database=url, servers=1, workers=0) as site:
            engine = sa.create_engine(url)

            def fault() -> None:
                with (disk / "filling").open("wb") as file, suppress(OSError):
                    while True:
                        file.write(bytes(64 * 1024))
                time.sleep(3)
                (disk / "filling").unlink()

            suffer("SQLite", "disk full for 3 s", site, engine, fault)
            engine.dispose()


# --- two servers and two workers on PostgreSQL ----------------------------------------


@pytest.fixture(scope="module")
def postgres() -> Iterator[PrivatePostgres]:
    with private_postgres() as server:
        yield server


@pytest.fixture
def proxy(postgres: PrivatePostgres) -> Iterator[Proxy]:
    with Proxy(postgres.port) as proxy:
        yield proxy


@pytest.fixture
def site(postgres: PrivatePostgres, proxy: Proxy, tmp_path: Path) -> Iterator[Site]:
    with database_on(postgres.url) as url:
        through = urlsplit(url)._replace(netloc=f"postgres@127.0.0.1:{proxy.port}").geturl()
        with Site(tmp_path, database=through, servers=2, workers=2) as site:
            yield site


@pytest.fixture
def engine(site: Site, postgres: PrivatePostgres) -> Iterator[sa.Engine]:
    """A way to the database of the site that no fault is on."""
    database = urlsplit(site.database).path
    engine = sa.create_engine(
        f"postgresql+psycopg://postgres@127.0.0.1:{postgres.port}{database}", pool_pre_ping=True
    )
    yield engine
    engine.dispose()


def test_the_database_is_killed(site, engine, postgres):
    def fault() -> None:
        postgres.kill()
        time.sleep(2)
        postgres.start()

    suffer("PostgreSQL", "database killed (SIGKILL), away for 2 s", site, engine, fault)


def test_the_database_is_restarted(site, engine, postgres):
    def fault() -> None:
        postgres.stop()
        postgres.start()

    suffer("PostgreSQL", "database restarted", site, engine, fault)


def test_the_database_hangs(site, engine, postgres):
    def fault() -> None:
        postgres.pause()
        time.sleep(6)
        postgres.resume()

    suffer("PostgreSQL", "database stopped (SIGSTOP) for 6 s", site, engine, fault)


def test_the_database_has_no_connections_left(site, engine, postgres):
    def fault() -> None:
        # Those that are held are cut first, so that all have to connect anew and cannot.
        with psycopg.connect(postgres.url, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND datname IS NOT NULL"
            )
            held = []
            with suppress(psycopg.OperationalError):
                while True:
                    held.append(psycopg.connect(postgres.url))
            time.sleep(4)
            for connection in held:
                connection.close()

    suffer("PostgreSQL", "no connection left for 4 s", site, engine, fault)


def test_the_network_to_the_database_is_cut(site, engine, proxy):
    def fault() -> None:
        proxy.cut()
        time.sleep(3)
        proxy.restore()

    suffer("PostgreSQL", "network cut for 3 s", site, engine, fault)


def test_the_network_to_the_database_swallows_everything(site, engine, proxy):
    def fault() -> None:
        proxy.hang()
        time.sleep(6)
        proxy.restore()

    suffer("PostgreSQL", "network silent for 6 s", site, engine, fault)


def test_workers_are_killed_again_and_again(site, engine):
    def fault() -> None:
        for number in range(6):
            time.sleep(0.7)
            site.kill_worker(number % 2)

    suffer("PostgreSQL", "workers killed (SIGKILL) six times", site, engine, fault)


def test_servers_are_killed_again_and_again(site, engine):
    def fault() -> None:
        for number in range(4):
            time.sleep(0.7)
            site.kill_server(number % 2)

    suffer("PostgreSQL", "servers killed (SIGKILL) four times", site, engine, fault)


def test_everything_is_killed_at_once(site, engine, postgres):
    def fault() -> None:
        postgres.kill()
        site.kill_everything(then=postgres.start)

    suffer("PostgreSQL", "everything killed (SIGKILL) at once", site, engine, fault)

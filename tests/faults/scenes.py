"""Build the scene of a fault: what it needs, and nothing else."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from faults.kinds.fault import Fault, Scene
from faults.site import Site
from faults.stacks import Stack
from support.clock import FalseClock
from support.objects import ObjectServer, private_object_server
from support.postgres import (
    PrivatePostgres,
    database_on,
    private_postgres,
    synchronous_standby,
)
from support.private_brokers import PrivateBroker, private_rabbitmq, private_redis
from support.proxy import Proxy

__all__ = ["Scenes", "Servers", "broker_of", "engine_of"]


class Scenes:
    """Lend scenes: one after the other, and the same again where it has come to no harm.

    Starting a site takes longer than most faults. One that has survived a fault may meet the
    next one, from which it has to recover as well.
    """

    def __init__(self, folders: Callable[[], Path]) -> None:
        self._folders = folders
        self._kept = ExitStack()
        self._servers = Servers(self._kept)
        self._current = ExitStack()
        self._scene: Scene | None = None
        self._key: object = None

    def close(self) -> None:
        """End everything."""
        self._current.close()
        self._kept.close()

    @contextmanager
    def lend(self, fault: Fault, stack: Stack) -> Iterator[Scene]:
        """Yield a scene with nothing in its database, for one fault."""
        key = (stack.name, fault.needs)
        scene, self._scene = self._scene, None
        if scene is not None and key == self._key and not fault.needs:
            _forget_everything(scene)
        else:
            self._current.close()
            made = scene_of(fault, stack, self._servers, self._folders())
            scene = self._current.enter_context(made)
        self._key = key
        yield scene
        self._scene = scene


def _forget_everything(scene: Scene) -> None:
    names = [name for name in sa.inspect(scene.engine).get_table_names() if name not in _KEPT]
    with scene.engine.begin() as connection:
        if scene.stack.database == "postgresql":
            connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        for name in names:
            connection.execute(sa.text(f"DELETE FROM {name}"))
    for mail in (scene.site.data / "mail").glob("*.eml"):
        mail.unlink()


_KEPT: Final = {"alembic_version"}


class Servers:
    """What takes long to start, and can be hurt again and again: started when first asked for."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._postgres: PrivatePostgres | None = None
        self._rabbitmq: PrivateBroker | None = None
        self._objects: ObjectServer | None = None

    @property
    def postgres(self) -> PrivatePostgres:
        if self._postgres is None:
            self._postgres = self._stack.enter_context(private_postgres())
        return self._postgres

    @property
    def rabbitmq(self) -> PrivateBroker:
        if self._rabbitmq is None:
            self._rabbitmq = self._stack.enter_context(private_rabbitmq())
        return self._rabbitmq

    @property
    def objects(self) -> ObjectServer:
        if self._objects is None:
            self._objects = self._stack.enter_context(private_object_server())
        return self._objects


@contextmanager
def scene_of(fault: Fault, stack: Stack, servers: Servers, folder: Path) -> Iterator[Scene]:
    """Start Depot on a stack with all that the fault hurts, and end it afterwards."""
    with ExitStack() as opened:
        enter = opened.enter_context
        if "disk" in fault.needs:
            folder = enter(small_disk(folder / "disk"))
        environment: dict[str, str] = {}
        parts: dict[str, object] = {}
        broker = enter(broker_of(stack, servers)) if stack.broker else None
        if broker is not None:
            environment["DEPOT_JOBS__BROKER_URL"] = broker.url
        if "objects" in fault.needs:
            way = enter(Proxy(servers.objects.port))
            environment |= _object_store(way.port, folder.name)
            parts |= {"_objects": servers.objects, "_way_to_objects": way}
        clock = FalseClock(folder) if "clock" in fault.needs else None
        broken = clock.environment if clock else {}
        if stack.database == "sqlite":
            url = true_url = f"sqlite:///{folder}/depot.db"
            # One machine has one clock.
            environment |= broken
        elif "failover" in fault.needs:
            primary = enter(private_postgres())
            standby = enter(synchronous_standby(primary))
            url, true_url = _urls_of_both(primary, standby, psycopg="psycopg" in fault.needs)
            parts |= {"_postgres": primary, "_standby": standby}
        else:
            true_url = enter(database_on(servers.postgres.url))
            network = enter(Proxy(servers.postgres.port))
            url = _through(network, true_url)
            parts |= {"_postgres": servers.postgres, "_network": network}
        site = enter(Site(folder, stack, database=url, environment=environment, broken=broken))
        engine = engine_of(true_url)
        opened.callback(engine.dispose)
        yield Scene(
            folder=folder,
            stack=stack,
            site=site,
            engine=engine,
            _broker=broker,
            _clock=clock,
            **parts,  # type: ignore[arg-type] # each is of its own type
        )


@contextmanager
def broker_of(stack: Stack, servers: Servers) -> Iterator[PrivateBroker]:
    if stack.broker == "rabbitmq":
        yield servers.rabbitmq
    else:
        with private_redis(durable=True) as broker:
            yield broker


def _object_store(port: int, prefix: str) -> dict[str, str]:
    return {
        "DEPOT_FILES__URL": f"s3://ready/{prefix}",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_REGION": "us-east-1",
    }


def _urls_of_both(
    primary: PrivatePostgres, standby: PrivatePostgres, *, psycopg: bool
) -> tuple[str, str]:
    """Return Depot's URL, which has both hosts, and ours, which asks for the one that writes."""
    hosts = [f"127.0.0.1:{server.port}" for server in (primary, standby)]
    driver = "postgresql+psycopg" if psycopg else "postgresql"
    ours = f"postgresql://postgres@/postgres?host={'&host='.join(hosts)}"
    return (
        f"{driver}://postgres@{','.join(hosts)}/postgres",
        f"{ours}&target_session_attrs=read-write",
    )


def _through(network: Proxy, url: str) -> str:
    return urlsplit(url)._replace(netloc=f"postgres@127.0.0.1:{network.port}").geturl()


def engine_of(url: str) -> sa.Engine:
    return sa.create_engine(
        url.replace("postgresql://", "postgresql+psycopg://"), pool_pre_ping=True
    )


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

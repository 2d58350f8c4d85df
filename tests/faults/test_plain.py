"""The same faults on plain Celery and plain RQ: what they lose, for the table.

Nothing is asserted of them but that they ran: they are not ours.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from faults.audit import Findings, audit_orders
from faults.catalogue import FAULTS
from faults.kinds.fault import Fault, Scene
from faults.load import Load
from faults.plain.site import PlainSite
from faults.plain.tables import metadata
from faults.scenes import Servers, broker_of, engine_of
from faults.stacks import STACKS, Stack
from faults.table import Row, add
from support.postgres import database_on

pytestmark = pytest.mark.timeout(400)

BEFORE, AFTER = 1.5, 2.5
WORK = ("buy", "act", "look", "change", "buy", "act")
LATE = 15.0
"""Seconds in which nothing comes any more: then what is not there is lost."""


@dataclass(frozen=True)
class Peer:
    """A way to do without a table of jobs."""

    name: str
    stack: Stack
    first: bool = False
    """Whether the job is handed over before the commit."""


PEERS = (
    Peer("plain Celery on RabbitMQ", STACKS["celery_rabbitmq"]),
    Peer("plain Celery on RabbitMQ, `delay()` before the commit", STACKS["celery_rabbitmq"], True),
    Peer("plain Celery on Redis", STACKS["celery_redis"]),
    Peer("plain RQ", STACKS["rq_redis"]),
)
NAMES = ("broker_killed", "broker_wiped", "workers_killed", "servers_killed")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run them with `--all-faults` only: they test no code of ours."""
    by_name = {fault.name: fault for fault in FAULTS}
    chosen = [(peer, by_name[name]) for peer in PEERS for name in NAMES]
    if not metafunc.config.getoption("--all-faults"):
        chosen = []
    metafunc.parametrize(("peer", "fault"), chosen, ids=lambda it: it.name)


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(stack)


def test_what_is_lost_without_a_table_of_jobs(
    servers: Servers, peer: Peer, fault: Fault, tmp_path: Path
) -> None:
    with scene_of(peer, servers, tmp_path) as scene:
        with Load(lambda: scene.site.urls, work=WORK) as load:
            time.sleep(BEFORE)
            fault.happen(scene)
            ended = time.monotonic()
            scene.site.start_again()
            time.sleep(AFTER)
        scene.site.start_again()
        stopped = time.monotonic()
        found, settled = settled_findings(scene, load)
    add(
        Row(
            where=peer.name,
            fault=fault.text,
            told=load.told,
            findings=found,
            recovered_in=load.told.failed_at - ended,
            caught_up_in=settled - stopped,
        )
    )

    assert load.told.requests > 0


@contextmanager
def scene_of(peer: Peer, servers: Servers, folder: Path) -> Iterator[Scene]:
    with ExitStack() as opened:
        enter = opened.enter_context
        broker = enter(broker_of(peer.stack, servers))
        url = enter(database_on(servers.postgres.url))
        engine = engine_of(url)
        opened.callback(engine.dispose)
        metadata.create_all(engine)
        environment = {"PLAIN_BROKER": broker.url, "PLAIN_ORDER": "before" * peer.first}
        site = enter(PlainSite(folder, peer.stack, database=url, environment=environment))
        yield Scene(folder=folder, stack=peer.stack, site=site, engine=engine, _broker=broker)


def settled_findings(scene: Scene, load: Load) -> tuple[Findings, float]:
    """Look until all is there, or nothing has come for long; tell since when it is so."""
    found, since = Findings(), time.monotonic()
    while time.monotonic() < since + LATE:
        now = Findings()
        audit_orders(scene.engine, scene.site.data / "mail", load.told, now, final=True)
        if len(now.lost) != len(found.lost) or now.doubled != found.doubled:
            found, since = now, time.monotonic()
        if not now.lost:
            break
        time.sleep(1)
    return found, since

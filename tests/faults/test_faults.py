"""Whatever fails, and whenever: what was acknowledged is there, once, and Depot comes back."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import httpx
import pytest

from faults.audit import audit, audit_documents, settle
from faults.catalogue import runs
from faults.kinds.fault import Fault, Scene
from faults.load import EVERYTHING, Load
from faults.pictures import LARGE, SMALL
from faults.scenes import Scenes
from faults.stacks import STACKS
from faults.table import Row, add
from support.brokers import NoBroker
from support.debian import Unavailable

pytestmark = pytest.mark.timeout(400)

BEFORE, AFTER = 1.5, 2.5
UPLOADS = (*EVERYTHING, "upload", "upload", "upload")
_FIRST = next(runs(all_of_them=False))
"""The one that runs always; the others are soaks."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each fault on each of its stacks; without `--all-faults`, on some."""
    if "fault" in metafunc.fixturenames:
        chosen = list(runs(all_of_them=metafunc.config.getoption("--all-faults")))
        given = [
            pytest.param(
                *one, id="-".join((one[0], one[1].name)), marks=[pytest.mark.soak] * (one != _FIRST)
            )
            for one in chosen
        ]
        metafunc.parametrize(("stack", "fault"), given)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenes]:
    made = Scenes(lambda: tmp_path_factory.mktemp("scene"))
    yield made
    made.close()


@pytest.fixture
def lend(scenes: Scenes) -> Callable[[Fault, str], AbstractContextManager[Scene]]:
    """Lend a scene; what cannot be had is a reason to skip, which is told."""

    @contextmanager
    def lend(fault: Fault, stack: str) -> Iterator[Scene]:
        try:
            with scenes.lend(fault, STACKS[stack]) as scene:
                yield scene
        except (NoBroker, Unavailable) as reason:
            pytest.skip(f"needs what {fault.name} hurts: {reason}")

    return lend


def test_what_was_acknowledged_is_there_once(
    lend: Callable[[Fault, str], AbstractContextManager[Scene]], fault: Fault, stack: str
) -> None:
    with lend(fault, stack) as scene:  # which is used again if nothing below fails
        row, quiet_for = suffer(scene, fault)
        found, told = row.findings, row.told

        assert (found.lost, found.doubled, found.half_done) == ([], [], [])
        assert told.wrong == []
        assert [code for code in told.errors if code.startswith("500")] == []
        assert len(told.orders) > 5
        assert len(told.documents) > 0
        assert quiet_for > 0.5, f"still failing: {told.errors}"
        assert not (fault.unnoticed and told.errors), told.errors


def suffer(scene: Scene, fault: Fault) -> tuple[Row, float]:
    """Have load on the site while the fault happens; tell for how long it has been quiet."""
    work, pixels = (UPLOADS, LARGE) if fault.large_files else (EVERYTHING, SMALL)
    with Load(lambda: scene.site.urls, work=work, pixels=pixels) as load:
        time.sleep(BEFORE)
        fault.happen(scene)
        ended = time.monotonic()
        scene.site.wait_until_ready()
        time.sleep(AFTER)
        quiet_for = time.monotonic() - load.told.failed_at
    stopped = time.monotonic()
    settle(scene.engine)
    settled = time.monotonic()
    final = not fault.hurts_database
    found = audit(scene.engine, scene.site.data / "mail", load, final=final)
    with httpx.Client(base_url=scene.site.urls[0], timeout=30) as client:
        audit_documents(scene.engine, client, load.told, found, final=final)
    row = Row(
        where=scene.stack.name,
        fault=fault.text,
        told=load.told,
        findings=found,
        recovered_in=load.told.failed_at - ended,
        caught_up_in=settled - stopped,
    )
    add(row)
    return row, quiet_for

"""What agents read about this library is found, runs, and does what it says."""

import asyncio
import json
import re
import subprocess
import sys
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

from roadworthy.tables import metadata as tables
from support.polling import until
from support.source import REPOSITORY

SKILL = REPOSITORY / "src/roadworthy/.agents/skills/roadworthy/SKILL.md"
CODE = re.findall(r"^```python\n(.*?)^```$", SKILL.read_text(), re.MULTILINE | re.DOTALL)
PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
    b"trailer<</Root 1 0 R/Size 3>>\nstartxref\n9\n%%EOF\n"
)


@pytest.fixture
def shop(tmp_path, monkeypatch) -> ModuleType:
    """The service that the blocks are, with a row."""
    monkeypatch.chdir(tmp_path)
    module = ModuleType("skill")
    monkeypatch.setitem(sys.modules, "skill", module)
    for block in CODE:
        exec(compile(block, str(SKILL), "exec", dont_inherit=True), vars(module))
    asyncio.run(made(module))
    return module


async def made(shop: ModuleType) -> None:
    async with shop.db as db, db.begin() as tx:
        connection = await tx.connection()
        await connection.run_sync(shop.metadata.create_all)
        await connection.run_sync(tables.create_all)
        await tx.execute(shop.items.insert().values(id="bolt", name="Bolt", stock=3))


def test_a_post_happens_once_and_its_job_with_it(shop):
    with TestClient(shop.app) as client:
        answers = [
            client.post(
                "/items/bolt/orders",
                params={"quantity": 2},
                headers={"Idempotency-Key": "order-1"},
            )
            for _ in range(2)
        ]
        until(lambda: len(shop.sent) == 1)
        left = client.patch("/items/bolt", json={"name": "Bolt"}).json()["stock"]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert left == 1


def test_a_refused_post_writes_nothing_and_enqueues_nothing(shop):
    with TestClient(shop.app) as client:
        refused = client.post("/items/bolt/orders", params={"quantity": 4})
        unknown = client.post("/items/nut/orders", params={"quantity": 1})
        left = client.patch("/items/bolt", json={"name": "Bolt"}).json()["stock"]

    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "OUT_OF_STOCK")
    assert unknown.status_code == 404
    assert (left, shop.sent) == (3, [])


def test_a_patch_takes_what_fits_and_no_null(shop):
    with TestClient(shop.app) as client:
        null = client.patch("/items/bolt", json={"stock": None})
        changed = client.patch("/items/bolt", json={"stock": 7})

    assert null.status_code == 422
    assert changed.json() == {"name": "Bolt", "stock": 7}


def test_an_upload_is_judged_by_its_bytes(shop):
    with TestClient(shop.app) as client:
        kept = client.post("/documents", files={"file": ("a.pdf", PDF)})
        page = client.post("/documents", files={"file": ("a.png", b"<html>", "image/png")})

    assert (kept.status_code, page.status_code) == (201, 415)


def test_probes_answer(shop):
    with TestClient(shop.app) as client:
        assert client.get("/readyz").json() == {"status": "ready"}


def test_its_front_matter_names_the_library_and_says_when_to_read_it():
    head = SKILL.read_text().split("---\n")[1]
    told = dict(line.split(": ", 1) for line in head.splitlines())

    assert told["name"] == SKILL.parent.name == "roadworthy"
    assert 100 < len(told["description"]) < 1024
    assert "Use before" in told["description"]


def test_the_audit_finds_nothing_in_it(tmp_path):
    (tmp_path / "shop.py").write_text("".join(CODE))
    command = [sys.executable, "-m", "roadworthy.cli", "audit", "--format", "agent", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    told = json.loads(done.stdout)
    assert (done.returncode, told["rules"], told["counts"]["routes"]) == (0, [], 3)

"""The way of a stranger: a wheel, a new environment, and the two commands of the README."""

import json
import os
import re
import signal
import subprocess
import sys
import venv
from pathlib import Path

import httpx
import pytest

from support.generated import COMBINATIONS, Generated
from support.polling import until
from support.source import REPOSITORY

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a wheel of this repository."""
    folder = tmp_path_factory.mktemp("wheels")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    run(*build, cwd=REPOSITORY)
    return folder


@pytest.fixture(scope="module")
def shop(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a service that was written by what the wheel installs, and is installed itself."""
    folder = tmp_path_factory.mktemp("stranger")
    venv.create(folder / "tool", with_pip=True)
    run(folder / "tool/bin/pip", "install", "-q", "roadworthy", cwd=folder, wheels=wheels)
    parts = "jobs,uploads,console"
    run(folder / "tool/bin/roadworthy", "new", "shop", "--with", parts, cwd=folder)
    install, _ = commands(folder / "shop")
    run("bash", "-c", install, cwd=folder / "shop", wheels=wheels)
    return folder / "shop"


def run(*words: str | Path, cwd: Path, wheels: Path | None = None) -> str:
    # Nothing of the environment that runs this test is on the path of what it starts.
    without = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    path = os.pathsep.join(
        one for one in os.environ["PATH"].split(os.pathsep) if ".venv" not in one
    )
    find = {} if wheels is None else {"PIP_FIND_LINKS": str(wheels)}
    done = subprocess.run(
        words,
        cwd=cwd,
        env={**without, "PATH": path, **find},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commands(service: Path) -> list[str]:
    """Return the commands of the README, each a line of its block."""
    [block] = re.findall(r"```bash\n(.*?)```", (service / "README.md").read_text(), re.DOTALL)
    return block.splitlines()


def test_the_two_commands_serve_it(shop):
    _, serve = commands(shop)
    with (shop / "log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-c", f"{serve} --port 0"],
            cwd=shop,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        said = r"running on (http://[^ ]+)"
        found = until(lambda: re.search(said, (shop / "log").read_text()))
        assert found is not None
        assert httpx.get(f"{found[1]}/health").json()["status"] == "healthy"
        assert httpx.post(f"{found[1]}/resources", json={}).status_code == 201
        assert httpx.get(f"{found[1]}/docs").status_code == 200
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)


def test_what_its_page_for_agents_says_passes(shop):
    said = "`ruff check`, `ruff format`, `mypy .`, `roadworthy audit`, `pytest`"
    assert said in (shop / "AGENTS.md").read_text()

    run(".venv/bin/ruff", "check", cwd=shop)
    run(".venv/bin/ruff", "format", "--check", cwd=shop)
    run(".venv/bin/mypy", ".", cwd=shop)
    run(".venv/bin/roadworthy", "audit", cwd=shop)
    assert "7 passed" in run(".venv/bin/pytest", cwd=shop)


def test_a_revision_that_is_written_is_formatted(shop):
    run(".venv/bin/alembic", "upgrade", "head", cwd=shop)
    models = shop / "shop/models.py"
    source = models.read_text()
    status = '    sa.Column("status", sa.String(50), nullable=False),\n'
    models.write_text(source.replace(status, f'{status}    sa.Column("owner", sa.String(50)),\n'))
    try:
        run(".venv/bin/alembic", "revision", "--autogenerate", "-m", "Add owners", cwd=shop)
        [written] = (shop / "shop/migrations").glob("*_add_owners.py")
        assert 'sa.Column("owner", sa.String(length=50), nullable=True)' in written.read_text()
        run(".venv/bin/alembic", "upgrade", "head", cwd=shop)
        assert "7 passed" in run(".venv/bin/pytest", cwd=shop)
        run(".venv/bin/ruff", "check", ".", cwd=shop)
        run(".venv/bin/ruff", "format", "--check", ".", cwd=shop)
        written.unlink()
    finally:
        models.write_text(source)


@pytest.fixture(scope="module")
def all_of_them(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("typed")
    return [
        Generated(folder / str(number), choice, name=f"shop-{number}").root
        for number, choice in enumerate(COMBINATIONS)
    ]


def test_pyright_finds_every_combination_strictly_typed(shop, all_of_them):
    root = all_of_them[0].parents[1]
    environments = [{"root": str(one.relative_to(root))} for one in all_of_them]
    config = {"typeCheckingMode": "strict", "executionEnvironments": environments}
    (root / "pyrightconfig.json").write_text(json.dumps(config))

    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pyright",
            "--outputjson",
            "--pythonpath",
            shop / ".venv/bin/python",
        ],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )

    found = json.loads(done.stdout)
    assert [one["message"] for one in found["generalDiagnostics"]] == []
    assert found["summary"]["filesAnalyzed"] >= 5 * len(COMBINATIONS)


@pytest.mark.parametrize("number", range(len(COMBINATIONS)), ids=lambda n: str(COMBINATIONS[n]))
def test_mypy_finds_it_strictly_typed(shop, all_of_them, number):
    cache = shop.parent / "mypy"  # of what is installed, which all of them share
    run(shop / ".venv/bin/mypy", "--cache-dir", cache, ".", cwd=all_of_them[number])

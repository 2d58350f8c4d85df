"""Every service that can be written: its form, and its own tests."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.generated import COMBINATIONS, Choice, Generated

BIN = Path(sys.executable).parent
LINES = 250
"""What a service may have in all of its files."""
MORE = {"jobs": 50, "uploads": 64, "console": 18}
"""What each part may add to that."""
EVERYTHING = COMBINATIONS[-1]
SAMPLE = (Choice(), EVERYTHING)


@pytest.fixture(scope="module")
def all_of_them(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a folder for each combination, under a short and the longest name."""
    folder = tmp_path_factory.mktemp("services")
    for choice in COMBINATIONS:
        Generated(folder / f"short-{choice}", choice, name="my-shop")
        Generated(folder / f"long-{choice}", choice, name="a" * 30)
    return folder


def made(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and "dist-info" not in str(path)]


def tool(*words: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=cwd, capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_there_are_32_combinations():
    assert len({str(choice) for choice in COMBINATIONS}) == 8 * 2 * 2


@pytest.mark.parametrize("choice", COMBINATIONS, ids=str)
def test_it_is_small(tmp_path, choice):
    files = made(Generated(tmp_path, choice).root)

    assert len(files) <= 10
    most = LINES + sum(MORE[part] for part in choice.parts)
    assert sum(len(path.read_text().splitlines()) for path in files) <= most


def test_every_file_is_written_as_a_formatter_has_it(all_of_them):
    assert tool("ruff", "format", "--no-cache", "--check", "--diff", ".", cwd=all_of_them) == ""
    assert tool("ruff", "check", "--no-cache", ".", cwd=all_of_them) == ""
    for path in made(all_of_them):
        text = path.read_text()
        assert text == "" or text.endswith("\n"), path
        assert not text.endswith("\n\n"), path
        assert [line for line in text.splitlines() if line != line.rstrip()] == [], path


def test_the_audit_finds_nothing(all_of_them):
    command = [sys.executable, "-m", "roadworthy.cli", "audit", "--no-cache", "."]
    done = subprocess.run(command, cwd=all_of_them, capture_output=True, text=True, check=False)

    assert done.stdout.startswith("Nothing found."), done.stdout
    routes = sum(
        3 + 2 * ("jobs" in one.parts) + 2 * ("uploads" in one.parts) for one in COMBINATIONS
    )
    assert f" {2 * routes} routes" in done.stdout


def test_every_dockerfile_lints_clean(all_of_them):
    texts = {path.read_text() for path in all_of_them.rglob("Dockerfile")}
    for text in texts:
        done = subprocess.run(
            [BIN / "hadolint", "--failure-threshold", "info", "-"],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == ""


@pytest.mark.parametrize(
    "choice",
    [pytest.param(c, marks=[] if c in SAMPLE else pytest.mark.soak) for c in COMBINATIONS],
    ids=str,
)
def test_its_own_tests_pass(tmp_path, request, choice):
    service = Generated(tmp_path, choice)
    more = {"DATABASE_URL": ""}  # its tests use their own
    if choice.postgresql:
        more["TEST_DATABASE_URL"] = request.getfixturevalue("postgres_url")

    done = subprocess.run(
        service.command("pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis"),
        cwd=service.root,
        env=service.environment(**more),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{4 + len(choice.parts)} passed" in done.stdout
    left = {path.name for path in service.root.rglob("*")}
    assert not {name for name in left if ".db" in name or name == "files"}, "they leave nothing"

"""`roadworthy new` as it is typed, in a process that has the standard library alone."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.forked import run as forked_run
from support.source import REPOSITORY

ALONE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.stdlib_module_names or name.startswith("roadworthy"):
            return None
        raise ModuleNotFoundError(f"{name} was imported")
sys.meta_path.insert(0, Refuse())
from roadworthy.cli import main
sys.exit(main())
"""


def new(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "roadworthy.cli", "new", *words]
    return forked_run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_it_says_what_was_made_and_what_to_type_next(tmp_path):
    done = new(tmp_path, "my-shop")

    assert (done.returncode, done.stderr) == (0, "")
    for path in (tmp_path / "my-shop").rglob("*"):
        assert path.is_dir() or str(path.relative_to(tmp_path)) in done.stdout
    assert "Made 10 files" in done.stdout
    *_, install, serve = done.stdout.splitlines()
    assert install.strip().startswith("cd my-shop && python -m venv .venv && ")
    assert serve.strip().endswith(".venv/bin/uvicorn --factory my_shop.app:create_app")


def test_the_next_commands_are_those_of_the_readme(tmp_path):
    done = new(tmp_path, "shop", "--postgresql")
    readme = (tmp_path / "shop/README.md").read_text()

    *_, install, export, serve = (line.strip() for line in done.stdout.splitlines())
    assert install.removeprefix("cd shop && ") in readme
    assert serve in readme
    assert export == "export DATABASE_URL=postgresql://user@host/shop"


def test_nothing_but_the_standard_library_is_imported(tmp_path):
    command = [sys.executable, "-c", ALONE, "new", "shop", "--with", "jobs,uploads,console"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "shop/shop/app.py").exists()


@pytest.mark.parametrize(
    "said",
    [
        ["--with", "jobs,uploads"],
        ["--with", "uploads, jobs"],
        ["--with", "jobs", "--with", "uploads"],
    ],
)
def test_parts_are_said_in_any_order(tmp_path, said):
    done = new(tmp_path, "shop", *said)

    assert done.returncode == 0
    text = (tmp_path / "shop/pyproject.toml").read_text()
    assert "roadworthy[jobs,migrations,sqlite,uploads]" in text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["Shop"], "Type: roadworthy new shop"),
        (["shop", "--with", "mail"], "'mail' is none of jobs, uploads, console"),
        (["shop", "--with", ""], "'' is none of"),
        (["shop", "--with", "jobs,"], "'' is none of"),
        (["shop", "--with"], "roadworthy new --help"),
        (["shop", "--mysql"], "--mysql"),
        ([], "NAME"),
    ],
)
def test_a_mistake_is_one_line_and_makes_nothing(tmp_path, words, told):
    done = new(tmp_path, *words)

    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_second_time_is_refused_and_changes_nothing(tmp_path):
    new(tmp_path, "shop")
    (tmp_path / "shop/shop/app.py").write_text("mine")

    done = new(tmp_path, "shop", "--sync")

    assert done.returncode == 2
    assert "is not empty" in done.stderr
    assert (tmp_path / "shop/shop/app.py").read_text() == "mine"


def test_a_name_may_end_as_a_shell_completes_it(tmp_path):
    (tmp_path / "shop").mkdir()

    assert new(tmp_path, "shop/").returncode == 0
    assert (tmp_path / "shop/shop/app.py").exists()


def test_the_help_says_all_of_it(tmp_path):
    said = " ".join(new(tmp_path, "--help").stdout.split())

    for word in ("--with", "jobs", "uploads", "console", "--postgresql", "--sync", "uvx", "pipx"):
        assert word in said


def test_services_need_what_is_tested_here(tmp_path):
    """Each bound of the service is one of this repository, whose `make lowest` tests it."""
    ours = (REPOSITORY / "pyproject.toml").read_text()
    new(tmp_path, "shop")
    text = (tmp_path / "shop/pyproject.toml").read_text()

    for bound in ("uvicorn>=0.54", "mypy>=2.4", "pytest>=9.2", "ruff>=0.17", "hatchling>=1.27"):
        assert f'"{bound}"' in text
        assert f'"{bound}"' in ours

"""`pytest --roadworthy` has a test for each finding, which fails with what was found."""

import subprocess
import sys

import pytest

TEST = "def test_something():\n    pass\n"


def run(project, *words):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", *words]
    return subprocess.run(
        command, cwd=project.folder, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture(autouse=True)
def tested(project):
    project.write("tests/test_shop.py", TEST)
    project.write("pyproject.toml", '[tool.pytest.ini_options]\naddopts = "-q"\n')


def test_each_finding_is_a_test_that_fails(project):
    done = run(project, "--roadworthy")

    assert "1 failed, 2 passed" in done.stdout
    assert "roadworthy[RW201 shop.py:9]" in done.stdout
    assert "session.commit()" in done.stdout
    assert "Fix: Depends(" in done.stdout


def test_without_the_option_nothing_is_audited(project):
    done = run(project)

    assert "1 passed" in done.stdout
    assert "roadworthy" not in done.stdout


def test_where_nothing_is_found_the_audit_passes(project):
    project.write("shop.py", "from fastapi import FastAPI\n\napp = FastAPI()\n")

    assert "2 passed" in run(project, "--roadworthy").stdout


def test_findings_are_chosen_like_tests(project):
    assert "1 failed, 2 deselected" in run(project, "--roadworthy", "-k", "RW201").stdout


def test_the_paths_and_the_configuration_are_the_project_s(project):
    project.write("src/shop.py", (project.folder / "shop.py").read_text())
    ini = '[tool.pytest.ini_options]\nroadworthy_paths = ["src"]\n'
    project.write("pyproject.toml", ini)
    assert "RW201 src/shop.py:9" in run(project, "--roadworthy").stdout
    assert "RW201 shop.py:9" not in run(project, "--roadworthy").stdout

    project.write("pyproject.toml", f'{ini}[tool.roadworthy.audit]\nignore = ["RW2"]\n')
    assert "2 passed" in run(project, "--roadworthy").stdout


def test_a_mistake_in_the_configuration_stops_it(project):
    project.write("pyproject.toml", '[tool.roadworthy.audit]\nselect = ["RW9"]\n')

    done = run(project, "--roadworthy")

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "There is no rule 'RW9'" in done.stderr

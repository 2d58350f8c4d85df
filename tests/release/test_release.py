"""A wheel or an sdist with a fault is refused, and ours have none."""

import io
import re
import shutil
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from release.building import Built, build, differences
from release.contents import refusals_of_sdist, refusals_of_wheel
from release.environments import Environment, examples, tried
from release.metadata import refusals_of_metadata
from release.promises import PROMISES
from support.source import REPOSITORY

METADATA = "roadworthy-0.1.0.dist-info/METADATA"


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Built:
    return build(REPOSITORY, tmp_path_factory.mktemp("built"))


def test_what_would_be_published_has_no_fault(built):
    found = [*refusals_of_wheel(built.wheel), *refusals_of_sdist(built.sdist)]

    assert found == []
    assert refusals_of_metadata(built.wheel, REPOSITORY) == []


def test_two_builds_have_the_same_bytes(built, tmp_path):
    again = build(REPOSITORY, tmp_path)

    assert differences(built, again) == []


def test_a_build_that_depends_on_when_it_is_made_is_refused(built, tmp_path):
    other = Built(planted(built.wheel, tmp_path, {"roadworthy/later.py": b""}), built.sdist)

    [told] = differences(built, other)
    assert told.startswith(f"two builds of {built.wheel.name} differ: ")


@pytest.mark.parametrize(
    "name",
    [
        "tests/test_stock.py",
        "shared/DESIGN.md",
        "benchmarks/results/audit.json",
        "conftest.py",
        "roadworthy/test_stock.py",
        "roadworthy/jobs/conftest.py",
        "roadworthy/problems/problem_test.py",
        "roadworthy/__pycache__/lifespan.cpython-311.pyc",
        "roadworthy/notes.bak",
        "depot/app.py",
    ],
)
def test_a_wheel_with_a_file_too_many_is_refused(built, tmp_path, name):
    wheel = planted(built.wheel, tmp_path, {name: b""})

    assert refusals_of_wheel(wheel) == [f"{wheel.name} has {name}"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("roadworthy/py.typed", "has no roadworthy/py.typed"),
        ("roadworthy/__init__.py", "has no roadworthy/__init__.py"),
        (
            "roadworthy/.agents/skills/roadworthy/SKILL.md",
            "has no roadworthy/.agents/skills/roadworthy/SKILL.md",
        ),
        (
            "roadworthy-0.1.0.dist-info/licenses/LICENSE",
            "has no licence in its .dist-info/licenses",
        ),
    ],
)
def test_a_wheel_with_a_file_too_few_is_refused(built, tmp_path, name, told):
    wheel = planted(built.wheel, tmp_path, {name: None})

    assert refusals_of_wheel(wheel) == [f"{wheel.name} {told}"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (".ci/run", ".ci/run"),
        ("tests/jobs/test_tasks.py", "tests/jobs/test_tasks.py"),
        ("shared/STYLE.md", "shared/STYLE.md"),
        ("src/roadworthy/test_stock.py", "roadworthy/test_stock.py"),
        ("src/depot/app.py", "src/depot/app.py"),
    ],
)
def test_an_sdist_with_a_file_too_many_is_refused(built, tmp_path, name, told):
    sdist = tmp_path / built.sdist.name
    shutil.copy(built.sdist, sdist)
    root = sdist.name.removesuffix(".tar.gz")
    with tarfile.open(built.sdist) as source, tarfile.open(sdist, "w:gz") as target:
        for member in source.getmembers():
            target.addfile(member, source.extractfile(member))
        target.addfile(tarfile.TarInfo(f"{root}/{name}"), io.BytesIO())

    assert refusals_of_sdist(sdist) == [f"{sdist.name} has {told}"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (r"Project-URL: Issues, [^\n]*\n", "", "no Issues under [project.urls]"),
        (
            r"Project-URL: Homepage, https:",
            "Project-URL: Homepage, http:",
            "http://github.com/roadworthy/roadworthy is no https address",
        ),
        (
            r"\(https:[^)]*/docs/index\.md\)",
            "(docs/index.md)",
            "the description links to docs/index.md: relative",
        ),
        (
            r"/docs/index\.md\)",
            "/docs/gone.md)",
            "the description links to docs/gone.md, which does not exist",
        ),
        (
            r"Python :: 3\.12",
            "Python :: 3.99",
            "no run on Python 3.99 is in the table of platforms",
        ),
        (r"Classifier: Typing :: Typed\n", "", "no classifier says Typed"),
        (
            r"Requires-Python: >=3\.11",
            "Requires-Python: >=3.9",
            "Requires-Python is '>=3.9', and not '>=3.11'",
        ),
        (
            r"License-Expression: MIT\n",
            "",
            "License-Expression is None, and not 'MIT'",
        ),
    ],
)
def test_metadata_that_misleads_is_refused(built, tmp_path, old, new, told):
    text = zipfile.ZipFile(built.wheel).read(METADATA).decode()
    assert re.search(old, text)
    wheel = planted(built.wheel, tmp_path, {METADATA: re.sub(old, new, text).encode()})

    assert set(refusals_of_metadata(wheel, REPOSITORY)) == {told}


def test_the_examples_of_the_readme_are_found():
    found = list(examples((REPOSITORY / "README.md").read_text()))

    assert len(found) >= 2
    assert any(prints for _, prints in found)


def test_each_extra_makes_a_promise():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]

    assert PROMISES.keys() == {"none", *project["optional-dependencies"]}


@pytest.mark.soak
def test_an_environment_without_the_extra_breaks_the_promise(built, tmp_path):
    with Environment.made(tmp_path / "bare", built.wheel, "none") as bare:
        kept = tried(bare, "")
        broken = tried(Environment(bare.folder, "jobs"), "```python\n1 / 0\n```\n")

    assert kept == []
    assert any("its promise is not kept" in one for one in broken)
    assert "example 1 of the README: ZeroDivisionError: division by zero" in broken


def planted(wheel: Path, folder: Path, changes: dict[str, bytes | None]) -> Path:
    """Return a copy of a wheel in which files were added, replaced or removed (None)."""
    copy = folder / wheel.name
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(copy, "w") as target:
        for name in source.namelist():
            if name not in changes:
                target.writestr(name, source.read(name))
        for name, content in changes.items():
            if content is not None:
                target.writestr(name, content)
    return copy


@pytest.mark.parametrize(
    "file", [*(REPOSITORY / ".github/workflows").glob("*.yml"), REPOSITORY / "action.yml"], ids=str
)
def test_what_a_workflow_uses_is_pinned_to_a_commit(file):
    used = [step["uses"] for step in steps_of(yaml.safe_load(file.read_text())) if "uses" in step]

    assert used != []
    assert [one for one in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", one)] == []


def test_only_the_job_that_publishes_may_say_who_it_is():
    workflow = yaml.safe_load((REPOSITORY / ".github/workflows/release.yml").read_text())
    may = {name: job["permissions"] for name, job in workflow["jobs"].items()}

    assert workflow["permissions"] == {}
    assert [name for name, told in may.items() if "write" in told.values()] == ["publish"]
    assert workflow["jobs"]["publish"]["environment"] == "pypi"
    assert not any("run" in step for step in workflow["jobs"]["publish"]["steps"])


def steps_of(file: dict) -> list[dict]:
    runs = [file["runs"]] if "runs" in file else file["jobs"].values()
    return [step for run in runs for step in run["steps"]]

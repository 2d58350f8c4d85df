"""The hook of pre-commit and the action of GitHub do what they say, run as they are."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from support.source import REPOSITORY

MANIFEST = REPOSITORY / ".pre-commit-hooks.yaml"
ACTION = yaml.safe_load((REPOSITORY / "action.yml").read_text())
(HOOK,) = yaml.safe_load(MANIFEST.read_text())


def test_pre_commit_takes_the_manifest():
    command = [sys.executable, "-m", "pre_commit", "validate-manifest", str(MANIFEST)]

    assert subprocess.run(command, check=False).returncode == 0


def test_a_commit_with_a_mistake_is_stopped(project, tmp_path):
    """The hook as the manifest has it, with the environment that pre-commit would make."""
    word, *rest = shlex.split(HOOK["entry"])
    hook = {**HOOK, "language": "system", "entry": f"{bin_of(word)} {' '.join(rest)}"}
    config = {"repos": [{"repo": "local", "hooks": [hook]}]}
    project.write(".pre-commit-config.yaml", yaml.safe_dump(config))
    project.git("init", "-q")
    project.git("add", ".")

    first = run_hooks(project, tmp_path)
    project.write("shop.py", "from fastapi import FastAPI\n")
    project.git("add", ".")
    second = run_hooks(project, tmp_path)

    assert (first.returncode, "RW201 commit-after-response" in first.stdout) == (1, True)
    assert second.returncode == 0


def run_hooks(project, tmp_path):
    return subprocess.run(
        [sys.executable, "-m", "pre_commit", "run"],
        cwd=project.folder,
        env={**os.environ, "PRE_COMMIT_HOME": str(tmp_path / "pre-commit")},
        capture_output=True,
        text=True,
        check=False,
    )


def bin_of(word):
    return Path(sys.executable).with_name(word)


def test_the_actions_that_it_uses_are_pinned():
    used = [step["uses"] for step in ACTION["runs"]["steps"] if "uses" in step]

    assert used != []
    assert [one for one in used if not re.search(r"@[0-9a-f]{40}$", one)] == []


def test_no_input_is_written_into_a_script():
    scripts = [step["run"] for step in ACTION["runs"]["steps"] if "run" in step]

    assert [script for script in scripts if "${{" in script] == []


@pytest.mark.parametrize(
    ("change", "code", "fails"),
    [("", "1", False), ("x = (\n", "1", False), ("[tool.roadworthy.audit]\nno = 1", "2", True)],
    ids=["a mistake", "a file that does not parse", "it cannot run"],
)
def test_the_step_writes_sarif_annotations_and_a_summary(project, tmp_path, change, code, fails):
    """The script of the action, with an interpreter that has been made already."""
    if change:
        project.write("pyproject.toml" if "tool" in change else "broken.py", f"# fastapi\n{change}")

    done, written = step(project, tmp_path)

    assert (done.returncode != 0) is fails
    assert f"code={code}" in written.splitlines()
    if not fails:
        assert "::error file=shop.py,line=9" in done.stdout
        assert (tmp_path / "roadworthy.sarif").is_file()
        assert "## Roadworthy" in (tmp_path / "summary.md").read_text()


def step(project, tmp_path):
    (script,) = [one["run"] for one in ACTION["runs"]["steps"] if one.get("id") == "audit"]
    lines = [line for line in script.splitlines() if "-m venv" not in line and " pip " not in line]
    bin_folder = tmp_path / "roadworthy/bin"
    bin_folder.mkdir(parents=True)
    (bin_folder / "roadworthy").symlink_to(bin_of("roadworthy"))
    environment = {
        "PATHS": ".",
        "ARGS": "",
        "SARIF": str(tmp_path / "roadworthy.sarif"),
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", "\n".join(lines)],
        cwd=project.folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done, (tmp_path / "output").read_text()

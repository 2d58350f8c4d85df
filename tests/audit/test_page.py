"""What the guide shows is what happens."""

import shlex
import tomllib

import pytest
import yaml

from roadworthy.audit.run.configuration import configuration_of
from support.pages import blocks_of
from support.source import REPOSITORY

PAGE = REPOSITORY / "docs/how-to/audit.md"
BLOCKS = list(blocks_of(PAGE))


def texts(language):
    return [block.text for block in BLOCKS if block.language == language]


COMMANDS = [
    line
    for text in texts("bash")
    for line in text.splitlines()
    if line.startswith("roadworthy audit")
]


@pytest.fixture
def shop(project):
    project.write("shop.py", texts("python")[0])
    project.write("tests/app.py", texts("python")[0])
    project.write("src/app.py", texts("python")[0])
    return project


def test_the_first_report_is_what_the_command_says(project):
    (project.folder / "pyproject.toml").unlink()
    project.write("shop.py", texts("python")[0])

    assert (
        f"{project.run().stdout.rpartition('. ')[0]}." == texts("text")[0].rpartition(". ")[0] + "."
    )


def test_the_configuration_is_understood(project):
    (text,) = texts("toml")
    project.write("pyproject.toml", text)

    said = configuration_of([project.folder])

    keys = tomllib.loads(text)["tool"]["roadworthy"]["audit"]
    assert all(getattr(said, key.replace("-", "_")) for key in keys)


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_runs(shop, line):
    shop.commit()
    shop.run("--write-baseline", "roadworthy.json")

    done = shop.run(*shlex.split(line)[2:])

    assert done.returncode in {0, 1}, done.stderr


def test_the_hook_that_it_names_is_there():
    (hooks,) = (yaml.safe_load((REPOSITORY / ".pre-commit-hooks.yaml").read_text()),)
    workflow, config = map(yaml.safe_load, texts("yaml"))

    assert config["repos"][0]["hooks"][0]["id"] == hooks[0]["id"]
    inputs = yaml.safe_load((REPOSITORY / "action.yml").read_text())["inputs"]
    assert set(workflow["jobs"]["audit"]["steps"][1]["with"]) <= set(inputs)

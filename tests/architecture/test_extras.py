"""Whoever installed some of the extras imports each module, or is told which one to add."""

import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.source import REPOSITORY, module_names

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]

IMPORTED = """
import importlib, json, sys

absent, names = json.loads(sys.stdin.read())
absent = set(absent)

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
told = {}
for name in names:
    before = set(sys.modules)
    try:
        importlib.import_module(name)
    except BaseException as error:
        told[name] = f"{'' if isinstance(error, ModuleNotFoundError) else repr(error)}{error}"
        for half in set(sys.modules) - before:  # so that the next one starts anew
            if half.startswith("roadworthy"):
                del sys.modules[half]
print(json.dumps(told))
"""


def imported_with(*extras: str) -> dict[str, str]:
    """Return what modules of the library say that cannot be imported with these extras alone."""
    wanted = [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    installed = {canonicalize_name(each.name) for each in metadata.distributions()} - {"roadworthy"}
    absent = modules_of(installed) - modules_of(distributions(wanted))
    stdin = json.dumps([sorted(absent), module_names()])
    command = [sys.executable, "-c", IMPORTED]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def distributions(wanted: list[str]) -> set[str]:
    """Name what pip would install for these requirements, of what is installed here."""
    waiting, found = [Requirement(line) for line in wanted], set()
    while waiting:
        one = waiting.pop()
        for key in {one.name, *(f"{one.name}[{extra}]" for extra in one.extras)} - found:
            found.add(key)
            waiting += needed(one)
    return {canonicalize_name(name) for name in found if "[" not in name} - {"roadworthy"}


def needed(one: Requirement) -> list[Requirement]:
    if one.name == "roadworthy":  # as it is written now, not as it was installed
        return [Requirement(line) for extra in one.extras for line in EXTRAS[extra]]
    try:
        lines = metadata.requires(one.name) or []
    except metadata.PackageNotFoundError:  # on another platform, or another Python
        return []
    taken = [Requirement(line) for line in lines]
    extras = ["", *one.extras]
    return [
        each
        for each in taken
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras)
    ]


def modules_of(names: set[str]) -> set[str]:
    """Name every module, and every package around one, that these distributions bring."""
    found: set[str] = set()
    for name in names:
        try:
            files = metadata.files(name) or []
        except metadata.PackageNotFoundError:
            continue
        for file in files:
            if file.suffix in {".py", ".so", ".pyd"}:
                parts = [*file.parent.parts, file.name.partition(".")[0]]
                found |= {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
    return found


def advised(said: str) -> set[str]:
    return set(re.findall(r"pip install 'roadworthy\[([\w-]+)\]'", said))


BRINGS = {
    "audit": ["roadworthy.audit.fixes.tree"],
    "celery": ["roadworthy.jobs.engines.celery"],
    "console": ["roadworthy.console", "roadworthy.jobs"],
    "database": [
        "roadworthy.database",
        "roadworthy.events",
        "roadworthy.idempotency",
        "roadworthy.problem_log",
    ],
    "images": ["roadworthy.uploads.images", "roadworthy.uploads"],
    "jobs": ["roadworthy.jobs", "roadworthy.tables", "roadworthy.testing", "roadworthy.cli.jobs"],
    "json-patch": ["roadworthy.patching.json_patch.operations"],
    "migrations": ["roadworthy.migrations"],
    "postgresql": ["roadworthy.database"],
    "rq": ["roadworthy.jobs.engines.rq"],
    "s3": ["roadworthy.uploads.stores.objects"],
    "settings": ["roadworthy.settings"],
    "sqlite": ["roadworthy.database"],
    "telemetry": ["roadworthy.observability.providers"],
    "testing": ["roadworthy.testing.contract", "roadworthy._pytest"],
    "uploads": ["roadworthy.uploads"],
}
"""The modules that somebody installs an extra for."""


@pytest.mark.parametrize("extras", [(), ("database",), ("testing", "uploads")], ids=str)
def test_each_module_imports_or_names_an_extra_that_is_not_there(extras):
    told = imported_with(*extras)

    assert told != {}
    assert {name: said for name, said in told.items() if not advised(said)} == {}
    assert {name: said for name, said in told.items() if advised(said) & set(extras)} == {}
    assert told.keys() & {name for extra in extras for name in BRINGS[extra]} == set()


@pytest.mark.soak
@pytest.mark.parametrize("extra", sorted(EXTRAS))
def test_whoever_follows_the_advice_is_not_given_it_again(extra):
    told = imported_with(extra)

    assert {name: said for name, said in told.items() if not advised(said)} == {}
    assert {name: said for name, said in told.items() if extra in advised(said)} == {}
    assert told.keys() & set(BRINGS.get(extra, [])) == set()


def test_each_extra_says_what_it_is_for():
    assert BRINGS.keys() == EXTRAS.keys() - {"all"}


def test_all_brings_everything_that_runs_and_nothing_for_tests_alone():
    everything = distributions(EXTRAS["all"])
    apart = {name for extra in EXTRAS for name in distributions(EXTRAS[extra])} - everything

    assert apart <= distributions(EXTRAS["testing"])

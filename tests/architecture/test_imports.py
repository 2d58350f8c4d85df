"""No import has effects, and what is not installed says what to type."""

import json
import re
import subprocess
import sys

import pytest

from support.source import REPOSITORY, imports, module_names, source_of

OURS = "roadworthy"

WATCHED = """
import importlib, json, os, sys, threading

sys.dont_write_bytecode = True
others, ours = json.loads(sys.stdin.read())
for name in others:
    try:
        importlib.import_module(name)
    except ImportError:
        pass

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
EFFECTS = ("socket.", "subprocess.", "_thread.start", "os.mkdir", "os.remove", "os.putenv")
effects = []

def watch(event, arguments):
    wrote = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES
    if wrote or event.startswith(EFFECTS):
        effects.append(f"{importing}: {event} {arguments[:1]}")

class Environment(type(os.environ)):
    def __getitem__(self, name):
        if name == "PYDANTIC_DISABLE_PLUGINS":  # Pydantic asks with every model
            return super().__getitem__(name)
        effects.append(f"{importing}: reads the environment ({name})")
        return super().__getitem__(name)

sys.addaudithook(watch)
os.environ.__class__ = Environment
for importing in ours:
    importlib.import_module(importing)
print(json.dumps(effects))
"""

BLOCKED = """
import importlib, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[2].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
try:
    importlib.import_module(sys.argv[1])
except ModuleNotFoundError as error:
    print(error)
"""

EXTRAS = [
    "sqlalchemy",
    "aiosqlite",
    "asyncpg",
    "jsonpatch",
    "pydantic_settings",
    "python_multipart",
    "PIL",
    "obstore",
]


def run(script: str, *arguments: str, stdin: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_opens_nothing_writes_nothing_and_reads_no_environment():
    ours = module_names()
    taken = {found for name in ours for found in imports(source_of(name))}
    theirs = {name for module, part in taken for name in (module, f"{module}.{part}")}
    others = sorted(module for module in theirs if module.partition(".")[0] != OURS)

    effects = json.loads(run(WATCHED, stdin=json.dumps([others, ours])))

    assert effects == []


def test_the_watch_over_imports_sees_effects(tmp_path):
    """The test above can fail."""
    effects = "import os, socket, threading\nsocket.socket().close()\nos.environ.get('HOME')\n"
    (tmp_path / "bad.py").write_text(f"{effects}open({str(tmp_path / 'f')!r}, 'w').close()")
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{WATCHED}"

    found = json.loads(run(script, stdin=json.dumps([["socket"], ["bad"]])))

    assert [effect.split()[1] for effect in found] == ["socket.__new__", "reads", "open"]


@pytest.mark.parametrize(
    "module", ["roadworthy.problems", "roadworthy.patching", "roadworthy.conditional"]
)
def test_a_part_without_a_database_needs_no_extra(module):
    assert run(BLOCKED, module, ",".join(EXTRAS)) == ""


@pytest.mark.parametrize(
    ("module", "absent", "extra"),
    [
        ("roadworthy.database", "sqlalchemy", "database"),
        ("roadworthy.idempotency", "sqlalchemy", "database"),
        ("roadworthy.jobs", "sqlalchemy", "jobs"),
        ("roadworthy.tables", "sqlalchemy", "jobs"),
        ("roadworthy.patching.json_patch.operations", "jsonpatch", "json-patch"),
        ("roadworthy.uploads", "python_multipart", "uploads"),
        ("roadworthy.uploads.images", "PIL", "images"),
        ("roadworthy.uploads.stores.objects", "obstore", "s3"),
        ("roadworthy.jobs.engines.celery", "celery", "celery"),
        ("roadworthy.jobs.engines.rq", "rq", "rq"),
    ],
)
def test_the_absence_of_an_extra_says_what_to_install(module, absent, extra):
    assert f"pip install 'roadworthy[{extra}]'" in run(BLOCKED, module, absent)


@pytest.mark.parametrize("absent", ["pytest", "pytest_asyncio"])
def test_the_contracts_say_what_tests_need(absent):
    told = run(BLOCKED, "roadworthy.testing.contract", absent)

    assert f"needs {absent}: pip install 'roadworthy[testing]'" in told


ALL_ABSENT = """
import importlib, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
for name in sys.argv[2].split(","):
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(name, error)
"""


def told_to_users() -> set[str]:
    """Return the modules that the documentation imports from."""
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")]
    return {
        name
        for page in pages
        for name in re.findall(r"(?:from|import) (roadworthy[.\w]*)", page.read_text())
    }


ABSENT = [*EXTRAS, "pytest", "celery", "rq", "cronsim"]
OFTEN = {"sqlalchemy", "PIL", "celery", "pytest"}
"""What `make test` takes away: each takes a second of a process that imports everything."""


@pytest.mark.parametrize(
    "absent",
    [one if one in OFTEN else pytest.param(one, marks=pytest.mark.soak) for one in ABSENT],
)
def test_whatever_is_absent_each_module_of_the_docs_imports_or_says_what_to_install(absent):
    public = told_to_users() & set(module_names())
    assert "roadworthy.jobs.engines.celery" in public

    told = run(ALL_ABSENT, absent, ",".join(sorted(public))).splitlines()

    assert [line for line in told if "pip install" not in line] == []

"""Links lead somewhere, commands exist, and the reference is what the source says."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from support import forked
from support.pages import blocks_of, links_of, pages
from support.source import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
EXTRAS = set(PROJECT["project"]["optional-dependencies"])
WORDS = set(re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
ANYWHERE = {
    "cd",
    "celery",
    "rq",
    "export",
    "curl",
    "git",
    "docker",
    "install",
    "kubectl",
    "nginx",
    "rsync",
    "sqlite3",
    "systemctl",
    "uvicorn",
    "psql",
    "pip",
    "python",
    "mkdir",
    "uvx",
    "alembic",
}
COMMANDS = [
    pytest.param(line, id=f"{block.page.name}: {line[:60]}")
    for page in pages()
    for block in blocks_of(page)
    if block.language in {"bash", "sh", "shell"}
    for line in block.text.replace("\\\n", " ").splitlines()
    if line.strip() and not line.lstrip().startswith("#")
]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_to_a_page_and_a_heading(page):
    dead = [target for target in links_of(page) if not leads_somewhere(page, target)]

    assert dead == []


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_on_a_page_exists(line):
    words = [word for word in shlex.split(line, comments=True) if not re.match(r"[A-Z_]+=", word)]

    assert exists(words), line


def test_every_page_can_be_reached_from_the_index():
    reached, waiting = set(), [REPOSITORY / "docs/index.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md" and page.exists():
            reached.add(page)
            waiting += [
                (page.parent / target.partition("#")[0]).resolve() for target in links_of(page)
            ]

    assert {path for path in pages() if path.parent != REPOSITORY} - reached == set()


def test_the_reference_says_what_the_source_says():
    script = REPOSITORY / "docs/reference/write.py"
    done = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nType: make reference"


def leads_somewhere(page, target):
    path, _, heading = target.partition("#")
    there = page.parent / path if path else page
    return there.exists() and (not heading or heading in headings(there))


def headings(page):
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def exists(words):
    match words:
        case ["make", *rest]:
            return {word for word in rest if "=" not in word} <= WORDS
        case ["pip", "install", *rest]:
            named = [re.search(r"^roadworthy\[(.+)\]$", word) for word in rest]
            return all(set(found[1].split(",")) <= EXTRAS for found in named if found)
        case ["depot", *named] | ["roadworthy", "jobs", *named] if named:
            module = {"depot": ("depot",), "roadworthy": ("roadworthy.cli", "jobs")}[words[0]]
            return has_command(*module, named[0])
        case ["roadworthy", word, *rest]:
            return has_options("roadworthy.cli", word, rest)
        case [first, *_]:
            local = REPOSITORY / first
            named = Path(first).name in ANYWHERE
            return named or local.exists() or is_installed(first)
    return False


def is_installed(command):
    """Return whether a command is on the path, or beside the Python of the tests."""
    beside = str(Path(sys.executable).parent)
    return any(shutil.which(command, path=path) is not None for path in (None, beside))


def has_options(module, word, rest):
    options = {one.partition("=")[0] for one in rest if one.startswith("--")}
    return all(one in help_of(module, word) for one in {word, *options})


def has_command(module, *words):
    return help_of(module, *words) != ""


@cache
def help_of(module, *words):
    command = [sys.executable, "-m", module, *words, "--help"]
    done = forked.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""

"""Small projects, written for one test, and the command that audits them."""

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from roadworthy.audit.model.rule import Example
from roadworthy.audit.source.codebase import Codebase
from support.forked import run

LATE_COMMIT = """\
from fastapi import Depends, FastAPI

app = FastAPI()


def get_session():
    with sessions() as session:
        yield session
        session.commit()


@app.post("/orders")
def add_order(session=Depends(get_session)):
    return {"status": "created"}
"""
"""RW201 at line 9, column 9."""


@dataclass
class Project:
    folder: Path

    def write(self, path: str, source: str) -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(source), encoding="utf-8")
        return file

    def run(self, *words: str, at: str = ".", **environment: str):
        """Type `roadworthy audit ...` in the project."""
        return self.python("-m", "roadworthy.cli", "audit", *words, at=at, **environment)

    def python(self, *words: str, at: str = ".", **environment: str):
        return run(
            [sys.executable, *words],
            cwd=self.folder / at,
            env={**os.environ, "XDG_CACHE_HOME": str(self.folder.parent), **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def found(self, *words: str, at: str = ".") -> list[tuple[str, str, int]]:
        """Return the rule, path and line of each finding."""
        done = self.run("--format", "json", *words, at=at)
        assert done.returncode in {0, 1}, done.stderr
        findings = json.loads(done.stdout)
        assert done.returncode == bool(findings)
        return [(one["rule"], one["path"], one["line"]) for one in findings]

    def mistake(self, *words: str, at: str = ".") -> str:
        """Return the one line that says why it could not run."""
        done = self.run(*words, at=at)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        return done.stderr

    def git(self, *words: str) -> str:
        identity = ("-c", "user.name=ann", "-c", "user.email=ann@example.com")
        return subprocess.run(
            ["git", *identity, *words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def commit(self) -> None:
        if not (self.folder / ".git").exists():
            self.git("init", "-q", "-b", "main")
        self.git("add", ".")
        self.git("commit", "-q", "-m", "as it was")


@pytest.fixture
def project(tmp_path) -> Project:
    """Return a project with one mistake, RW201 in line 9 of shop.py."""
    made = Project(tmp_path / "shop")
    made.write("pyproject.toml", '[project]\nname = "shop"\n')
    made.write("shop.py", LATE_COMMIT)
    return made


@pytest.fixture
def write(tmp_path):
    """Write files, given as one text with lines `# file: path`; return their folder."""

    def write_files(text: str) -> Path:
        for path, source in Example(textwrap.dedent(text)).files().items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(source)
        return tmp_path

    return write_files


@pytest.fixture
def codebase(write):
    """Make a codebase of files, given as one text."""

    def make(text: str) -> Codebase:
        folder = write(text)
        return Codebase(
            folder, [one.relative_to(folder).as_posix() for one in folder.rglob("*.py")]
        )

    return make

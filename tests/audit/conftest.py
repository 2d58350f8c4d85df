"""Small projects, written for one test."""

import textwrap
from pathlib import Path

import pytest

from roadworthy.audit.codebase import Codebase
from roadworthy.audit.rule import Example


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

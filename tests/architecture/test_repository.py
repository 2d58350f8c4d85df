"""What is in the repository could be published as it is."""

import ast
import re
import statistics
import subprocess
from pathlib import Path

import pytest

from support.source import REPOSITORY, module_names, source_of, tree_of

LINE = 100  # characters
FILE = 500  # lines
TEXT = {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".ini", ".mako", ""}

# Written so that this file does not contain what it looks for.
NOT_OURS = [
    r"(?<![\w.~])/(?:root|work|home|Users)/\w",
    "python" + r"hosted\.",
    "npm" + r"js\.(?:org|com)",
    "index" + r"-url|find" + r"-links",
]


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("this is not a clone: nothing says which files are published")
    paths = [REPOSITORY / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.suffix in TEXT and path.is_file()]


def test_no_file_names_a_machine_or_a_registry():
    found = [
        f"{path.relative_to(REPOSITORY)}: {match.group()}"
        for path in tracked()
        for pattern in NOT_OURS
        if path.name != "Makefile" or "index" not in pattern
        for match in re.finditer(pattern, path.read_text())
    ]

    assert found == []


def test_no_line_of_code_is_too_long():
    long = [
        f"{path.relative_to(REPOSITORY)}:{number}"
        for path in tracked()
        if path.suffix == ".py"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > LINE
    ]

    assert long == []


def test_files_hold_one_idea():
    sizes = {name: len(source_of(name).read_text().splitlines()) for name in module_names()}

    assert {name: size for name, size in sizes.items() if size > FILE} == {}


def test_functions_are_short(record_property):
    lengths = sorted(
        (node.end_lineno or 0) - node.body[0].lineno + 1
        for name in module_names()
        for node in ast.walk(tree_of(source_of(name)))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    median, p90 = statistics.median(lengths), lengths[len(lengths) * 9 // 10]
    record_property("function lengths", f"median {median}, p90 {p90}, of {len(lengths)}")

    assert (median <= 9, p90 <= 31) == (True, True), f"median {median}, p90 {p90}"

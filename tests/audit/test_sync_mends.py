"""Where code is synchronous, what is said of it is, too: nothing there can be awaited."""

import ast
import re
import subprocess
import sys

import pytest

from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

ASYNC_WORDS = re.compile(r"\b(await|async|asyncio|AsyncSession|anext|aclose)\b")
PAIRS = [
    ("Tx", "SyncTx"),
    ("Read", "SyncRead"),
    ("enqueue", "enqueue_sync"),
    ("begin", "begin_sync"),
]
CASES = [
    pytest.param(rule, example, id=f"{rule.code}-{number}")
    for rule in RULES
    for number, example in enumerate(rule.bad)
]


def write(example, folder):
    for path, source in example.files().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(source)


def is_sync(source: str, line: int) -> bool:
    """Return whether the innermost function around a line is a `def`."""
    around = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and min([node.lineno, *(each.lineno for each in node.decorator_list)])
        <= line
        <= (node.end_lineno or 0)
    ]
    return bool(around) and isinstance(max(around, key=lambda n: n.lineno), ast.FunctionDef)


def found_in_sync(rule, example, folder):
    write(example, folder)
    files = example.files()
    result = audit([folder], root=folder, rules=(rule,), processes=1)
    return [one for one in result.findings if is_sync(files[one.path], one.line)]


@pytest.mark.parametrize(("rule", "example"), CASES)
def test_what_is_said_of_a_def_function_awaits_nothing(rule, example, tmp_path):
    for one in found_in_sync(rule, example, tmp_path):
        if rule.looks == "loop" or rule.code == "RW403":
            continue  # what an `async def` calls, and tasks of asyncio: nothing there is sync
        said = f"{one.message} {rule.mend}"
        assert ASYNC_WORDS.findall(said) == [], said


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_what_the_library_has_is_named_for_both_kinds_of_route(rule):
    names = set(re.findall(r"\w+", " ".join(re.findall(r"`[^`]*`", rule.ours))))
    missing = [sync for name, sync in PAIRS if name in names and sync not in names]

    assert missing == [], rule.ours


SYNC = [
    pytest.param(e, id=f"{r.code}-{n}")
    for r in RULES
    for n, e in enumerate(r.bad)
    if not re.search(r"\basync\b", e.code)
]


def test_most_rules_are_shown_on_def_routes():
    """So that the tests here have something to look at."""
    assert len({param.id.split("-")[0] for param in SYNC}) >= len(RULES) // 2


def test_a_fix_of_synchronous_code_is_synchronous(tmp_path):
    pytest.importorskip("libcst")
    folders = {}
    for param in SYNC:
        folders[param.id] = folder = tmp_path / str(param.id)
        write(param.values[0], folder)
    command = [sys.executable, "-m", "roadworthy.cli", "audit", "--fix", str(tmp_path)]
    subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, timeout=100)

    changed = 0
    for param in SYNC:
        for path, before in param.values[0].files().items():
            after = (folders[param.id] / path).read_text()
            changed += after != before
            assert not re.search(r"\b(async|await)\b", after), after
    assert changed >= 3

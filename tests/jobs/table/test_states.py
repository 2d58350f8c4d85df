"""The table of states: one in the code, the same in the documentation, and every move uses it."""

import ast
import re

import pytest

from roadworthy.jobs.table.states import FINISHED, TRANSITIONS, WAITING, State
from support.source import REPOSITORY

PAGE = REPOSITORY / "docs" / "explanation" / "jobs.md"
MOVERS = ("ledger", "records", "admission", "bulk", "pauses")
WRITERS = ("ledger", "moves")
"""Who writes the column; the others ask `moved` for the statement."""


def table(*header: str) -> list[list[str]]:
    """Return the rows of the page's table that has this header."""
    lines = iter(PAGE.read_text().splitlines())
    wanted = "|" + "|".join(f" {cell} " if cell else " " for cell in header) + "|"
    assert wanted in lines, f"{PAGE} has no table with the header {wanted}"
    next(lines)  # the line below the header
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        found.append([cell.strip().replace("`", "") for cell in line.strip("|").split("|")])
    return found


def source(module: str) -> str:
    (found,) = (REPOSITORY / "src" / "roadworthy" / "jobs").rglob(f"{module}.py")
    return found.read_text()


def test_the_documentation_has_every_transition_as_the_code_has_it():
    documented = {
        name: (tuple(origin.split(", ")), target, why)
        for name, origin, target, why in table("transition", "from", "to", "why")
    }

    assert documented == {
        name: (tuple(move.source), move.target, move.why) for name, move in TRANSITIONS.items()
    }


def test_the_documentation_has_every_state():
    assert [name for name, _ in table("state", "")] == [state.value for state in State]


def test_every_state_can_be_reached():
    begins = {State.SCHEDULED, State.QUEUED, State.BLOCKED}

    assert begins | {move.target for move in TRANSITIONS.values()} == set(State)


def test_every_state_can_be_left_but_for_success():
    left = {state for move in TRANSITIONS.values() for state in move.source}

    assert set(State) - left == {State.SUCCEEDED}


def test_what_has_finished_comes_back_by_retry_only():
    back = {
        name
        for name, move in TRANSITIONS.items()
        if set(move.source) & set(FINISHED) and move.target not in FINISHED
    }

    assert back == {"retry"}


def test_a_job_waits_runs_or_has_finished():
    assert {*WAITING, *FINISHED, State.RUNNING} == set(State)
    assert not set(WAITING) & set(FINISHED)


def test_every_transition_is_made_somewhere():
    made = set()
    for module in MOVERS:
        text = source(module)
        made |= set(re.findall(r"""TRANSITIONS\["(\w+)"\]""", text))
        made |= set(re.findall(r"""\btarget_of\(\s*"(\w+)\"""", text))
        made |= set(re.findall(r"""\bmoved\(\s*"(\w+)\"""", text))
        made |= set(re.findall(r"""_(?:move|fail)\(\s*connection,\s*"(\w+)\"""", text))

    assert made == set(TRANSITIONS)


def written_by(module: str) -> list[str]:
    return [
        ast.unparse(keyword.value)
        for node in ast.walk(ast.parse(source(module)))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", None) == "values"
        for keyword in node.keywords
        if keyword.arg == "state"
    ]


def test_what_operators_do_is_written_by_the_table_too():
    assert written_by("records") == []


@pytest.mark.parametrize("module", WRITERS)
def test_no_move_names_its_target_by_itself(module):
    """Each value of the column comes from the table"""
    written = written_by(module)

    assert written
    table = r"TRANSITIONS\['\w+'\]\.target|target_of\((move|'\w+')\)"
    assert all(re.fullmatch(table, it) for it in written)


@pytest.mark.parametrize("module", ["loop", "heartbeat", "runner", "attempt", "part", "scheduler"])
def test_nobody_else_moves_a_job(module):
    assert not re.search(r"update\(table\)|state\s*=\s*(State\.|[\"'])", source(module))

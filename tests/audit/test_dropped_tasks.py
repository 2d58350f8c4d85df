"""Tasks that are added where an error always follows, whichever branch is taken."""

import pytest

from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

RULE = [one for one in RULES if one.code == "RW405"]
SOURCE = """
from fastapi import BackgroundTasks, FastAPI, HTTPException
from shop import allowed, known, lock, place, note

app = FastAPI()

@app.post("/orders/{{number}}")
async def order(number: int, background: BackgroundTasks):
{body}
"""
ADD = "background.add_task(note, number)"
REFUSE = "raise HTTPException(403, 'no')"
UNKNOWN = "raise HTTPException(404, 'none')"


@pytest.fixture
def is_found(write):
    def ask(*lines: str) -> bool:
        folder = write(SOURCE.format(body="\n".join(f"    {one}" for one in lines)))
        return bool(audit([folder], root=folder, rules=RULE, processes=1).findings)

    return ask


@pytest.mark.parametrize(
    "lines",
    [
        (ADD, REFUSE),
        (ADD, "if known(number):", f"    {REFUSE}", "else:", f"    {UNKNOWN}"),
        (
            *(ADD, "if known(number):", f"    {REFUSE}", "elif number:", f"    {UNKNOWN}"),
            *("else:", f"    {REFUSE}"),
        ),
        (f"if known(number): {ADD}", REFUSE),
        ("if known(number):", f"    {ADD}", f"    note({'number'})", UNKNOWN),
        (ADD, "with lock():", f"    {REFUSE}"),
        (ADD, "match number:", f"    case 1: {REFUSE}", f"    case _: {UNKNOWN}"),
        (ADD, "note(number)", "try:", f"    {REFUSE}", "finally:", "    note(1)"),
        ("if not allowed(number):", f"    {ADD}", f"    {REFUSE}", "return place(number)"),
    ],
)
def test_a_task_before_an_error_in_each_branch_never_runs(is_found, lines):
    assert is_found(*lines)


@pytest.mark.parametrize(
    "lines",
    [
        (ADD, f"if known(number): {REFUSE}", "return {}"),
        (ADD, "if known(number):", f"    {REFUSE}", "else:", "    note(1)", "return {}"),
        (ADD, "if known(number):", "    return {}", REFUSE),
        (ADD, "if known(number):", "    return {}", "else:", f"    {REFUSE}"),
        (f"if known(number): {ADD}", "else:", f"    {REFUSE}", "return {}"),
        ("try:", f"    {ADD}", f"    {REFUSE}", "except HTTPException:", "    return {}"),
        (ADD, "match number:", f"    case 1: {REFUSE}", "return {}"),
        ("for one in known(number):", f"    {ADD}", "    if one: break", f"    {REFUSE}"),
        (ADD, "try:", f"    {REFUSE}", "except HTTPException:", "    return {}"),
        (ADD, "return {}"),
    ],
)
def test_a_task_that_an_answer_may_bring_is_quiet(is_found, lines):
    assert not is_found(*lines)

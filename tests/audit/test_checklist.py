"""`--checklist` answers eight questions with pass, fail or could not tell, and no score."""

import json

import pytest

CLEAN = """\
from fastapi import APIRouter, BackgroundTasks, Depends, HTTPException, UploadFile
from pydantic import BaseModel

router = APIRouter()


class Patch(BaseModel):
    name: str | None = None
    price: int | None = None


@router.patch("/items/{number}")
async def change(number: int, patch: Patch):
    items[number].update(patch.model_dump(exclude_unset=True))
    raise HTTPException(404, "none", headers={"X-Error-Code": "NONE"})
"""


def answers(project, *words):
    done = project.run("--checklist", "--format", "json", *words)
    assert done.returncode in {0, 1}, done.stderr
    return [(one["answer"], one["count"]) for one in json.loads(done.stdout)]


def test_there_are_eight_answers(project):
    done = project.run("--checklist")

    numbers = [line.partition(".")[0] for line in done.stdout.splitlines() if line[0:1].isdigit()]
    assert [one for one in numbers if len(one) == 1][:8] == list("12345678")
    assert "tests, and what is excluded, were not" in done.stdout


def test_what_there_is_nothing_of_could_not_be_told(project):
    project.write("shop.py", "from fastapi import FastAPI\n\napp = FastAPI()\n")

    assert {answer for answer, _ in answers(project)} == {"could not tell"}
    assert project.run("--checklist").returncode == 0


def test_a_mistake_fails_with_how_many_there_are(project):
    project.write("more.py", (project.folder / "shop.py").read_text())

    assert answers(project)[1] == ("fail", 2)
    assert project.run("--checklist").returncode == 1
    assert "RW201 commit-after-response: 2" in project.run("--checklist").stdout


def test_what_is_there_without_a_mistake_passes(project):
    project.write("shop.py", CLEAN)

    found = answers(project)

    assert found[0] == ("pass", 1)
    assert found[3] == ("pass", 1)
    assert found[7] == ("pass", 1)


def test_errors_without_a_header_are_counted(project):
    project.write("shop.py", CLEAN.replace(', headers={"X-Error-Code": "NONE"}', ""))

    assert answers(project)[7] == ("fail", 1)


def test_where_handlers_answer_headers_could_not_be_told(project):
    handler = "\n@app.exception_handler(HTTPException)\nasync def answer(request, error): ...\n"
    project.write("shop.py", CLEAN.replace(', headers={"X-Error-Code": "NONE"}', "") + handler)

    assert answers(project)[7] == ("could not tell", 1)


def test_what_was_not_asked_could_not_be_told(project):
    assert answers(project, "--select", "RW1")[1] == ("could not tell", 0)


def test_what_is_ignored_does_not_fail(project):
    assert answers(project, "--ignore", "RW201")[1] == ("pass", 1)


def test_what_was_not_analysed_is_said(project):
    project.write("broken.py", "from fastapi import FastAPI\ndef (:\n")

    assert "Not analysed: 1 file.\n  broken.py: " in project.run("--checklist").stdout


@pytest.mark.parametrize("name", ["sarif", "github", "markdown"])
def test_other_formats_have_no_checklist(project, name):
    assert "Type: --checklist --format json" in project.mistake("--checklist", "--format", name)


def test_many_files_are_counted_by_several_processes(project):
    for number in range(40):
        project.write(f"app/routes{number}.py", CLEAN)

    assert answers(project)[0] == ("pass", 40)

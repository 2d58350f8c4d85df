"""Files that cannot be read are named, and nothing stands still because of one."""

import json
import os

import pytest

BROKEN = {
    "syntax": (b"import fastapi\nx = 1\ndef (:\n", "line 3"),
    "nul": (b"import fastapi\nx = 1\n\0", "line 3"),
    "cookie": (b"# a\n# coding: klingon\nimport fastapi\n", "line 2"),
    "utf-16": ("import fastapi\n".encode("utf-16"), "line 1"),
    "no-utf-8": (b"import fastapi\nx = '\xff'\n", "line"),
    "deep": (b"import fastapi\nx = " + b"(" * 5000 + b")" * 5000, ""),
}


@pytest.fixture(params=BROKEN, ids=str)
def broken(request, project):
    content, says = BROKEN[request.param]
    (project.folder / "broken.py").write_bytes(content)
    return says


@pytest.mark.sampled
@pytest.mark.parametrize("form", ["text", "json"])
def test_one_that_is_named_alone_is_no_success(project, broken, form):
    said = project.mistake("--format", form, "broken.py")

    assert said.startswith("broken.py cannot be read: ")
    assert broken in said


def test_one_that_is_named_beside_others_is_no_success_and_they_are_audited(project, broken):
    done = project.run("broken.py", "shop.py")

    assert done.returncode == 2
    assert "broken.py: " in done.stdout
    assert broken in done.stdout
    assert "RW201" in done.stdout


def test_one_in_a_folder_is_named(project, broken):
    done = project.run()

    assert done.returncode == 1
    assert "Not analysed: 1 file.\n  broken.py: " in done.stdout


def test_one_of_another_encoding_is_read_with_the_comments_in_it(project):
    source = project.folder.joinpath("shop.py").read_text()
    source = source.replace(
        "session.commit()", "session.commit()  # roadworthy: ignore[RW201] \xe9"
    )
    (project.folder / "shop.py").write_bytes(f"# coding: latin-1\n{source}".encode("latin-1"))

    assert project.found() == []


def test_an_expression_of_thousands_of_terms_stops_no_other_file(project):
    project.write("long.py", "import fastapi\nx = " + " + ".join(["a"] * 20_000) + "\n")

    assert ("RW201", "shop.py", 9) in project.found()


@pytest.mark.parametrize("words", [(".",), ("pipe.py", "shop.py"), ("shop.py",)], ids=" ".join)
def test_a_pipe_is_not_waited_for(project, words):
    os.mkfifo(project.folder / "pipe.py")
    os.mkfifo(project.folder / "requirements.txt")
    source = project.folder.joinpath("shop.py").read_text()
    project.write("shop.py", f"import pipe\n{source}")

    done = project.run("--no-cache", *words)

    assert "RW201" in done.stdout
    assert done.returncode == (2 if "pipe.py" in words else 1)
    assert ("pipe.py: this is no regular file" in done.stdout) is (words != ("shop.py",))


def test_a_pipe_that_is_named_alone_is_refused(project):
    os.mkfifo(project.folder / "pipe.py")

    assert "pipe.py cannot be read: this is no regular file" in project.mistake("pipe.py")


@pytest.mark.parametrize("target", ["shop.py", "{folder}/shop.py"])
def test_a_link_to_a_file_of_the_tree_is_not_found_twice(project, target):
    (project.folder / "link.py").symlink_to(target.format(folder=project.folder))

    assert project.found("--no-cache") == [("RW201", "shop.py", 9)]
    assert project.found("--no-cache", "link.py", "shop.py") == [("RW201", "shop.py", 9)]
    assert project.found("--no-cache", "link.py") == [("RW201", "shop.py", 9)]


def test_what_is_imported_by_a_link_is_found_where_it_stands(project):
    source = project.folder.joinpath("shop.py").read_text()
    head, _, route = source.partition("@app.post")
    project.write("deps.py", head)
    (project.folder / "link.py").symlink_to("deps.py")
    imports = (
        "from fastapi import Depends, FastAPI\nfrom link import get_session\napp = FastAPI()\n"
    )
    project.write("shop.py", f"{imports}@app.post{route}")

    assert project.found("--no-cache") == [("RW201", "deps.py", 9)]


def test_links_that_lead_to_each_other_or_nowhere_stop_nothing(project):
    (project.folder / "a.py").symlink_to("b.py")
    (project.folder / "b.py").symlink_to("a.py")
    (project.folder / "c.py").symlink_to("nowhere.py")
    (project.folder / "again").symlink_to(".")

    assert project.found("--no-cache") == [("RW201", "shop.py", 9)]


def test_a_link_to_a_file_elsewhere_is_read_once(project):
    outside = project.write("../elsewhere.py", project.folder.joinpath("shop.py").read_text())
    project.folder.joinpath("shop.py").unlink()
    for name in ("one.py", "two.py"):
        (project.folder / name).symlink_to(outside)

    assert project.found("--no-cache") == [("RW201", "one.py", 9)]


def test_notebooks_are_named_as_not_read(project):
    project.write("notes/explore.ipynb", json.dumps({"cells": []}))

    done = project.run()

    assert "notes/explore.ipynb: a notebook is not read" in done.stdout
    assert "a notebook is not read" in project.mistake("notes/explore.ipynb")
    assert "notebook" not in project.run("--exclude", "notes").stdout

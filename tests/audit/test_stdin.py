"""`--stdin` judges what an editor holds as if it were saved; `--watch` judges what was saved."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.forked import run
from support.polling import until

from .conftest import LATE_COMMIT

FINE = "from fastapi import FastAPI\n\napp = FastAPI()\n"


def typed(project, text, *words, file="shop.py"):
    name = () if file is None else ("--stdin-filename", file)
    return run(
        [sys.executable, "-m", "roadworthy.cli", "audit", "--stdin", *name, *words],
        cwd=project.folder,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("saved", [FINE, None, LATE_COMMIT.replace("POST", "x") + "\n\n"])
def test_what_is_typed_is_judged_and_not_what_is_saved(project, saved):
    if saved is not None:
        project.write("other.py", saved)

    done = typed(project, f"\n{LATE_COMMIT}", "--format", "json", file="other.py")

    found = [(one["rule"], one["path"], one["line"]) for one in json.loads(done.stdout)]
    assert (done.returncode, found) == (1, [("RW201", "other.py", 10)])
    assert (project.folder / "other.py").exists() == (saved is not None)


def test_what_was_mended_and_not_saved_is_quiet(project):
    project.write("shop.py", LATE_COMMIT)

    assert (typed(project, FINE).returncode, project.run().returncode) == (0, 1)


def test_the_project_around_it_is_known(project):
    session, _, route = LATE_COMMIT.partition('@app.post("/orders")')
    project.write("shop/deps.py", session)
    text = f"from shop.deps import app, get_session, Depends\n\n@app.post('/orders'){route}"

    assert json.loads(typed(project, text, "--format", "json", file="shop/api.py").stdout)


def test_text_shows_the_line_that_is_typed_and_its_comments_count(project):
    project.write("shop.py", "# another\n" * 20)
    ignored = LATE_COMMIT.replace(
        "        session.commit()", "        session.commit()  # roadworthy: ignore[RW201]"
    )

    assert "session.commit()" in typed(project, LATE_COMMIT).stdout
    assert typed(project, ignored).returncode == 0


def test_a_text_that_is_no_python_is_refused_with_its_line(project):
    done = typed(project, "from fastapi import FastAPI\ndef (:\n")

    assert done.returncode == 2
    assert "line 2" in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["."], "leave the paths out"),
        (["--fix"], "--fix needs files"),
        (["--diff"], "--diff needs files"),
        (["--watch"], "--watch needs files"),
        (["--write-baseline", "b.json"], "--write-baseline needs files"),
    ],
)
def test_what_needs_files_is_refused(project, words, says):
    done = typed(project, FINE, *words)

    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_name_without_the_text_says_what_to_type(project):
    assert "--stdin --stdin-filename shop.py" in project.mistake("--stdin-filename", "shop.py")
    assert "no Python file" in typed(project, FINE, file="shop.txt").stderr
    assert typed(project, LATE_COMMIT, file=None).returncode == 1


def test_a_watched_project_is_judged_after_each_change(project, tmp_path):
    project.write("shop.py", FINE)
    with (
        (tmp_path / "out").open("w+") as out,
        subprocess.Popen(
            [sys.executable, "-m", "roadworthy.cli", "audit", "--watch", "--no-cache"],
            cwd=project.folder,
            stdout=out,
            stderr=subprocess.STDOUT,
            preexec_fn=_obey_interrupts,  # noqa: PLW1509 - no thread of this test forks
        ) as watching,
    ):
        try:
            wait_for(out.name, "Watching", 1)
            project.write("shop.py", LATE_COMMIT)
            wait_for(out.name, "RW201", 1)
            wait_for(out.name, "Watching", 2)
            project.write("shop.py", "import fastapi\ndef (:\n")
            wait_for(out.name, "line 2", 1)
            wait_for(out.name, "Watching", 3)
            project.write("shop.py", LATE_COMMIT)
            wait_for(out.name, "Watching", 4)
        finally:
            watching.send_signal(signal.SIGINT)
        assert watching.wait(timeout=20) == 1


def _obey_interrupts():
    """Have a process obey SIGINT, which those started in the background ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for(path, text, times):
    until(Path(path).read_text, lambda said: said.count(text) >= times)

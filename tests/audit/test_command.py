"""`roadworthy audit` needs no configuration, and says by its exit code what happened."""

import json
import os
import pty
import sys

import pytest

from support.forked import run

FOUND = ("RW201", "shop.py", 9)
GOOD = "from fastapi import FastAPI\n\napp = FastAPI()\n"


def test_a_mistake_is_found_without_any_option(project):
    done = project.run()

    assert done.returncode == 1
    assert "shop.py:9:9  in get_session" in done.stdout
    assert done.stderr == ""


def test_nothing_found_is_zero(project):
    project.write("shop.py", GOOD)

    done = project.run()

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Nothing found.")


def test_code_that_cannot_be_imported_is_audited(project):
    project.write("shop.py", f"import not_there\nraise SystemExit(3)\n{project_code(project)}")

    assert project.found() == [("RW201", "shop.py", 11)]


def test_a_file_that_does_not_parse_is_named_and_the_others_are_audited(project):
    project.write("broken.py", "from fastapi import FastAPI\ndef (:\n")

    done = project.run()

    assert done.returncode == 1
    assert "Not analysed: 1 file.\n  broken.py: " in done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nowhere"], "There is nothing at nowhere."),
        (["--select", "RW9"], "There is no rule 'RW9'."),
        (["--select", "commit-after-respond"], "Is it commit-after-response? "),
        (["--ignore", "foo"], "type: roadworthy explain"),
        (["--explain", "foo"], "type: roadworthy explain"),
        (["--format", "xml"], "Type one of text, json, sarif, github, markdown, agent."),
        (["--format", "json", "--format", "text"], "Type: --format text=FILE"),
        (["--format", "json=nowhere/a.json"], "nowhere/a.json cannot be written"),
        (["--confidence", "sure"], "invalid choice: 'sure'"),
        (["--unsafe"], "Type: roadworthy audit --fix --unsafe"),
        (["--baseline", "no.json"], "Type: roadworthy audit --write-baseline no.json"),
        (["--baseline", "shop.py"], "shop.py is no baseline."),
        (["--nothing"], "Type: roadworthy"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_run_is_one_line_that_says_what_to_type(project, words, says):
    assert says in project.mistake(*words)


@pytest.mark.parametrize("word", ["RW201", "rw201", "RW2", "RW", "commit-after-response"])
def test_a_rule_is_selected_by_code_beginning_or_name(project, word):
    assert FOUND in project.found("--select", word)


def test_rules_are_left_out(project):
    assert project.found("--ignore", "RW0,commit-after-response", "--ignore", "RW001") == []
    assert project.found("--select", "RW2", "--ignore", "RW201") == []


def test_only_what_is_named_is_audited_and_the_rest_helps_to_understand_it(project):
    code = project_code(project)
    get_session = code[code.index("def get_session") : code.index("@app")]
    project.write("db.py", get_session)
    project.write(
        "shop.py", code.replace(get_session, "").replace("app =", "from db import *\napp =")
    )
    project.write("other/more.py", code)

    assert project.found("shop.py") == project.found("shop.py", "--exclude", "other")
    assert project.found("other") == [("RW201", "other/more.py", 9)]


@pytest.mark.parametrize("pattern", ["old", "old/*", "*/shop.py"])
def test_what_is_excluded_is_not_audited(project, pattern):
    project.write("old/shop.py", project_code(project))

    assert project.found("--exclude", pattern) == [FOUND]


def test_less_severe_findings_are_left_out(project):
    project.write("more.py", "from fastapi import FastAPI\n\nx = 1  # roadworthy: ignore\n")

    assert [rule for rule, *_ in project.found("--severity", "high")] == ["RW201"]
    assert "1 of less severity" in project.run("--severity", "high").stdout


def test_several_formats_are_written_at_once(project):
    done = project.run("--format", "json=a.json", "--format", "markdown=a.md", "--format", "text")

    assert done.returncode == 1
    assert json.loads((project.folder / "a.json").read_text())[0]["rule"] == "RW201"
    assert (project.folder / "a.md").read_text().startswith("## Roadworthy")
    assert "shop.py:9:9" in done.stdout


def test_a_summary_goes_to_stderr_where_the_report_goes_to_a_file(project):
    done = project.run("--format", "json=a.json")

    assert done.stdout == ""
    assert done.stderr.startswith("1 found (1 high) in 1 file.")


def test_statistics_count_by_rule(project):
    project.write("more/shop.py", project_code(project))

    lines = project.run("--statistics").stdout.splitlines()

    assert lines[0].split() == ["found", "rule", "name", "severity", "fixable"]
    assert lines[1].split()[:3] == ["2", "RW201", "commit-after-response"]


def test_paths_are_relative_to_where_the_command_is_typed(project):
    project.write("src/shop.py", project_code(project))

    assert project.found(at="src") == [("RW201", "shop.py", 9)]
    assert project.found("../shop.py", at="src")[0][1].endswith("/shop/shop.py")


def test_a_rule_is_explained(project):
    done = project.run("--explain", "RW201")

    assert done.returncode == 0
    assert done.stdout.startswith("RW201 commit-after-response (severity: high)")
    assert "Fix: " in done.stdout


def test_the_word_explain_says_the_same_and_lists_all_rules(project):
    def explain(*words):
        command = [sys.executable, "-m", "roadworthy.cli", "explain", *words]
        return run(command, capture_output=True, text=True, check=True).stdout

    assert explain("commit-after-response") == project.run("--explain", "RW201").stdout
    assert {"RW001", "RW002", "RW201"} <= {line.split()[0] for line in explain().splitlines()}


def test_a_pipe_gets_no_colours_and_no_progress(project):
    done = project.run()

    assert "\033" not in done.stdout + done.stderr


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_a_terminal_gets_colours_unless_it_wants_none(project, no_color, coloured):
    assert ("\033[" in on_a_terminal(project, NO_COLOR=no_color)) is coloured


def on_a_terminal(project, **environment):
    ours, theirs = pty.openpty()
    run(
        [sys.executable, "-m", "roadworthy.cli", "audit"],
        cwd=project.folder,
        env={**os.environ, "TERM": "xterm", **environment},
        stdout=theirs,
        check=False,
    )
    os.close(theirs)
    written = b""
    try:
        while more := os.read(ours, 65536):
            written += more
    except OSError:  # Linux says so where all has been read
        pass
    os.close(ours)
    return written.decode()


def test_what_a_stranger_wrote_does_not_move_the_cursor(project):
    project.write(
        "shop.py", project_code(project).replace("session.commit()", 'session.commit("\033[2J")')
    )

    assert "\033" not in project.run().stdout


def project_code(project):
    return (project.folder / "shop.py").read_text()


def test_a_result_is_used_again_where_no_file_has_changed(project, tmp_path):
    cache = str(tmp_path / "cache")
    first = project.run(XDG_CACHE_HOME=cache)
    assert project.run(XDG_CACHE_HOME=cache).stdout == first.stdout
    (kept,) = (tmp_path / "cache/roadworthy").glob("*.json")

    kept.write_text(kept.read_text().replace("get_session", "out_of_the_cache"))
    assert "out_of_the_cache" in project.run(XDG_CACHE_HOME=cache).stdout
    assert "out_of_the_cache" not in project.run("--no-cache", XDG_CACHE_HOME=cache).stdout

    project.write("shop.py", f"{project_code(project)}\n")
    assert "out_of_the_cache" not in project.run(XDG_CACHE_HOME=cache).stdout


def test_an_application_is_imported_where_it_is_named(project):
    done = project.run("--app", "shop:app")
    assert "shop:app answers " in done.stdout

    assert "Without --app, nothing is imported." in project.mistake("--app", "shop:nothing")

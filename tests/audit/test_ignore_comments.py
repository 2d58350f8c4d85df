"""Comments ignore findings in their line, their statement, or the line below."""

import pytest

from roadworthy.audit.run.ignore_comments import ignores_in

COMMIT = "        session.commit()"
IGNORE = "# roadworthy: ignore[RW201] the caller retries"


def test_nothing_is_found_where_a_comment_ignores_it(project):
    change(project, COMMIT, f"{COMMIT}  {IGNORE}")

    assert project.found() == []
    assert "1 ignored by comments" in project.run().stdout


@pytest.mark.parametrize(
    "ignored",
    [
        f"{COMMIT}  # roadworthy: ignore[commit-after-response]",
        f"{COMMIT}  # roadworthy:ignore[RW2] reason",
        f"{COMMIT}  # roadworthy: ignore[RW001, RW201] reason",
        f"{COMMIT}  # Roadworthy: Ignore[rw201]",
        f"        {IGNORE}\n{COMMIT}",
        f"        session.commit(\n        )  {IGNORE}",
        f"        session.commit(  {IGNORE}\n        )",
        f"        print(\n            session.commit()\n        )  {IGNORE}",
        f"        print(\n            {IGNORE}\n            session.commit()\n        )",
    ],
)
def test_a_comment_is_about_its_line_its_statement_or_the_next(project, ignored):
    change(project, COMMIT, ignored)

    assert "RW201" not in {rule for rule, *_ in project.found()}


@pytest.mark.parametrize(
    "kept",
    [
        f"{IGNORE}\n\n{COMMIT}",
        f'        print("{IGNORE}")\n{COMMIT}',
        f"        other = 1  {IGNORE}\n{COMMIT}",
        f"{COMMIT}  # roadworthy: ignore[RW001]",
    ],
)
def test_a_comment_elsewhere_or_about_something_else_ignores_nothing(project, kept):
    change(project, COMMIT, kept)

    assert "RW201" in {rule for rule, *_ in project.found()}


def test_a_comment_above_decorators_is_about_the_function():
    source = f"{IGNORE}\n@app.get('/')\n@cached\ndef read():\n    pass\n"

    (ignore,) = ignores_in(source)

    assert ignore.is_about(4, 5)
    assert not ignore.is_about(5, 5)


def test_a_comment_that_ignores_nothing_is_found(project):
    change(project, "app = FastAPI()", f"app = FastAPI()  {IGNORE}")

    assert ("RW001", "shop.py", 3) in project.found()


def test_of_several_words_the_one_that_ignores_nothing_is_found(project):
    change(project, COMMIT, f"{COMMIT}  # roadworthy: ignore[RW201,RW001] reason")

    done = project.run()

    assert "RW001 finds nothing here" in done.stdout
    assert "RW201 finds nothing here" not in done.stdout


def test_a_comment_about_a_rule_that_is_not_asked_is_not_called_unused(project):
    change(project, "app = FastAPI()", f"app = FastAPI()  {IGNORE}")

    assert project.found("--select", "RW001") == []
    assert project.found("--ignore", "RW201") == []


@pytest.mark.parametrize("comment", ["ignore", "ignore RW201", "ignore[]", "ignore[RW999] why"])
def test_a_comment_that_names_no_rule_ignores_nothing_and_is_found(project, comment):
    change(project, COMMIT, f"{COMMIT}  # roadworthy: {comment}")

    assert sorted(project.found()) == [("RW002", "shop.py", 9), ("RW201", "shop.py", 9)]


def test_comments_in_files_without_fastapi_are_judged_too(project):
    project.write("plain.py", f"x = 1  {IGNORE}\n")

    assert ("RW001", "plain.py", 1) in project.found()


def change(project, before, after):
    file = project.folder / "shop.py"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))

"""`[tool.roadworthy.audit]` says what a project wants, and the command line says otherwise."""

import pytest

FOUND = [("RW201", "shop.py", 9)]


def configure(project, text, at="pyproject.toml"):
    project.write(at, f"[tool.roadworthy.audit]\n{text}\n")


@pytest.mark.parametrize(
    "text",
    [
        'select = ["RW001"]',
        'ignore = ["RW2"]',
        'exclude = ["shop.py"]',
        'per-file-ignores = {"shop.py" = ["RW201"]}',
        'per-file-ignores = {"*.py" = ["commit-after-response"]}',
    ],
)
def test_a_project_says_what_it_does_not_want(project, text):
    configure(project, text)

    assert project.found() == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('ignore = ["RW2"]', ["--select", "RW201"]),
        ('ignore = ["RW2"]', ["--ignore", "RW001"]),
        ('select = ["RW001"]', ["--select", "RW2"]),
        ('exclude = ["shop.py"]', ["--exclude", "other"]),
        ('confidence = "high"', ["--confidence", "low"]),
    ],
)
def test_the_command_line_says_otherwise(project, text, words):
    configure(project, text)

    assert project.found(*words) == FOUND


def test_what_is_typed_for_ignore_is_left_out_of_what_the_project_selects(project):
    configure(project, 'select = ["RW2"]')

    assert project.found("--ignore", "RW201") == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('sellect = ["RW2"]', "has no key 'sellect'. It takes select, ignore, severity,"),
        ('select = "RW2"', "select must be a list of strings"),
        ("ignore = [1]", "ignore must be a list of strings"),
        ('severity = "huge"', "severity must be one of low, medium, high"),
        ("confidence = 3", "confidence must be one of low, medium, high"),
        ('per-file-ignores = ["RW2"]', "per-file-ignores must be a table"),
        ("baseline = 3", "baseline must be the path of a file"),
        ('select = ["RW9"]', "There is no rule 'RW9'"),
        ("select = [", "pyproject.toml is not TOML"),
    ],
)
def test_a_mistake_in_the_configuration_is_named(project, text, says):
    configure(project, text)

    assert says in project.mistake()


def test_the_nearest_table_counts_from_where_the_audited_code_is(project):
    configure(project, 'ignore = ["RW2"]', at="inner/pyproject.toml")
    project.write("inner/app/shop.py", (project.folder / "shop.py").read_text())

    assert project.found("inner/app") == []
    assert ("RW201", "inner/app/shop.py", 9) in project.found()


def test_patterns_and_the_baseline_start_at_the_pyproject(project):
    configure(project, 'per-file-ignores = {"shop.py" = ["RW2"]}\nbaseline = "known.json"')
    project.write("app/shop.py", (project.folder / "shop.py").read_text())
    project.run("--write-baseline", "known.json")

    assert project.found(at="app") == []


def test_a_folder_above_the_repository_has_no_say(project):
    configure(project, 'ignore = ["RW2"]')
    project.write("repository/shop.py", (project.folder / "shop.py").read_text())
    (project.folder / "repository/.git").mkdir()

    assert project.found(at="repository") == FOUND

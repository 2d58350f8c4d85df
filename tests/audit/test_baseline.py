"""A baseline has what was found before; what is new is found, wherever it stands."""

import json

FOUND = [("RW201", "shop.py", 9)]


def test_what_is_in_the_baseline_is_not_found_again(project):
    written = project.run("--write-baseline", "known.json")

    assert (written.returncode, "1 findings" in written.stdout) == (0, True)
    assert project.found("--baseline", "known.json") == []
    assert "1 in the baseline" in project.run("--baseline", "known.json").stdout


def test_lines_above_and_other_white_space_make_nothing_new(project):
    project.run("--write-baseline", "known.json")
    change(project, "app =", "# more\n# lines\napp =")
    change(project, "session.commit()", "session.commit( )")

    assert project.found("--baseline", "known.json") == []


def test_the_same_mistake_in_another_function_is_new(project):
    project.run("--write-baseline", "known.json")
    change(project, "get_session", "get_other_session")

    assert project.found("--baseline", "known.json") == FOUND


def test_findings_that_are_alike_are_counted(project):
    project.run("--write-baseline", "known.json")
    change(project, "session.commit()", "session.commit()\n        session.commit()")

    assert project.found("--baseline", "known.json") == [("RW201", "shop.py", 10)]


def test_a_baseline_holds_wherever_the_command_is_typed(project):
    project.write("app/shop.py", (project.folder / "shop.py").read_text())
    project.run("--write-baseline", "known.json")

    assert project.found("--baseline", "../known.json", at="app") == []


def test_writing_again_changes_no_byte_and_forgets_what_is_mended(project):
    project.write("more.py", (project.folder / "shop.py").read_text())
    project.run("--write-baseline", "known.json")
    first = (project.folder / "known.json").read_bytes()
    project.run("--write-baseline", "known.json")
    assert (project.folder / "known.json").read_bytes() == first

    (project.folder / "more.py").unlink()
    project.run("--write-baseline", "known.json")

    entries = json.loads((project.folder / "known.json").read_text())["findings"]
    assert [entry["path"] for entry in entries] == ["shop.py"]


def change(project, before, after):
    file = project.folder / "shop.py"
    file.write_text(file.read_text().replace(before, after))


def test_a_function_that_moves_to_another_file_brings_nothing_new(project):
    project.write("more.py", "x = 1\n")
    project.run("--write-baseline", "known.json")
    project.write("more.py", (project.folder / "shop.py").read_text())
    project.write("shop.py", "x = 1\n")

    assert project.found("--baseline", "known.json") == []


def test_a_copy_of_a_function_is_new_though_the_first_one_was_mended(project):
    project.run("--write-baseline", "known.json")
    project.write("more.py", (project.folder / "shop.py").read_text())
    change(project, "session.commit()", "pass")

    assert project.found("--baseline", "known.json") == [("RW201", "more.py", 9)]


def test_a_baseline_of_the_first_version_is_read(project):
    project.run("--write-baseline", "known.json")
    file = project.folder / "known.json"
    written = json.loads(file.read_text())
    for entry in written["findings"]:
        del entry["content"]
    file.write_text(json.dumps({**written, "version": 1}))

    assert project.found("--baseline", "known.json") == []

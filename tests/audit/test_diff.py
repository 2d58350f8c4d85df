"""`--diff REV` finds what stands in changed lines, and reads everything to understand them."""

import shutil

import pytest

FOUND = [("RW201", "shop.py", 9)]


@pytest.fixture
def committed(project):
    project.commit()
    return project


def test_what_was_there_before_is_not_found(committed):
    assert committed.found("--diff", "HEAD") == []
    assert "1 in lines that have not changed" in committed.run("--diff", "HEAD").stdout


def test_a_line_above_a_mistake_does_not_make_it_new(committed):
    change(committed, "app =", "# a comment\napp =")

    assert committed.found("--diff", "HEAD") == []


def test_a_changed_line_is_found_committed_or_not(committed):
    change(committed, "session.commit()", "session.commit( )")
    assert committed.found("--diff", "HEAD") == FOUND

    committed.commit()
    assert committed.found("--diff", "HEAD") == []
    assert committed.found("--diff", "HEAD~1") == FOUND


def test_a_file_that_git_does_not_know_is_found(committed):
    committed.write("new shöp.py", (committed.folder / "shop.py").read_text())

    assert committed.found("--diff", "HEAD") == [("RW201", "new shöp.py", 9)]


def test_a_renamed_file_has_not_changed(committed):
    committed.git("mv", "shop.py", "store.py")

    assert committed.found("--diff", "HEAD") == []


def test_without_a_revision_it_is_head(committed):
    change(committed, "session.commit()", "session.commit( )")

    assert committed.found("--diff") == FOUND


def test_on_a_branch_it_is_since_both_ways_parted(committed):
    committed.git("checkout", "-q", "-b", "mine")
    committed.write("mine.py", (committed.folder / "shop.py").read_text())
    committed.commit()
    committed.git("checkout", "-q", "main")
    change(committed, "session.commit()", "session.flush()")
    committed.commit()
    committed.git("checkout", "-q", "mine")

    assert committed.found("--diff", "main") == [("RW201", "mine.py", 9)]


def test_from_a_folder_within_the_repository(committed):
    committed.write("app/shop.py", (committed.folder / "shop.py").read_text())

    assert committed.found("--diff", "HEAD", at="app") == FOUND


@pytest.mark.parametrize("revision", ["no-such-branch", "-n"])
def test_a_revision_that_is_not_there_is_named(committed, revision):
    said = committed.mistake(f"--diff={revision}")

    assert f"Git knows no revision '{revision}'" in said


def test_without_a_repository_there_is_no_diff(project):
    assert "--diff needs a Git repository" in project.mistake("--diff", "HEAD")


def test_without_git_there_is_no_diff(committed, tmp_path):
    done = committed.run("--diff", "HEAD", PATH=str(tmp_path / "nothing"))

    assert shutil.which("git")
    assert (done.returncode, done.stderr) == (2, "--diff needs git, which is not installed.\n")


def change(project, before, after):
    file = project.folder / "shop.py"
    file.write_text(file.read_text().replace(before, after))


@pytest.mark.parametrize("target", ["shop.py", "more.py"])
def test_a_function_that_has_moved_has_not_changed(committed, target):
    source = (committed.folder / "shop.py").read_text()
    first, last = source.index("def get_session"), source.index("@app.post")
    function, rest = source[first:last], source[:first] + source[last:]
    imported = "" if target == "shop.py" else "from more import get_session\n"
    committed.write("shop.py", imported + rest.replace("app =", "x = 1\n" * 30 + "app ="))
    file = committed.folder / target
    file.write_text((file.read_text() if file.exists() else "") + "\n\n" + function)

    assert committed.found("--diff", "HEAD") == []


def test_a_copy_of_a_function_has_changed(committed):
    source = (committed.folder / "shop.py").read_text()
    committed.write("more.py", source)

    assert committed.found("--diff", "HEAD") == [("RW201", "more.py", 9)]

"""Which files are audited, and that an audit says the same however it is made."""

import pytest

from roadworthy.audit.rules import rw201_commit_after_response
from roadworthy.audit.run.engine import audit

LATE = """
from fastapi import Depends, FastAPI
app = FastAPI()
async def get_session():
    session = open_session()
    yield session
    await session.commit()
@app.post("/")
async def add(session=Depends(get_session)): ...
"""


@pytest.fixture
def check():
    def run(*paths, root, **options):
        rules = [rw201_commit_after_response.RULE]
        return audit(list(paths), root=root, rules=rules, **{"processes": 1} | options)

    return run


@pytest.fixture
def shop(tmp_path):
    for path in ("app.py", "tests/test_app.py", ".venv/lib/x.py", "node_modules/y.py", "gone/z.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(LATE)
    (tmp_path / "gone" / "pyvenv.cfg").write_text("")
    return tmp_path


def test_what_belongs_to_others_or_to_tests_is_not_audited(check, shop):
    result = check(shop, root=shop)

    assert ([one.path for one in result.findings], result.files) == (["app.py"], 1)


def test_a_file_that_is_named_is_audited_whatever_it_is(check, shop):
    result = check(shop / "tests" / "test_app.py", root=shop)

    assert [one.path for one in result.findings] == ["tests/test_app.py"]


def test_a_folder_inside_a_project_is_understood_with_the_rest_of_it(check, write):
    folder = write("""
    # file: pyproject.toml
    # file: shop/__init__.py
    # file: shop/db.py
    async def get_session():
        session = open_session()
        yield session
        await session.commit()
    # file: shop/api/orders.py
    from fastapi import Depends, FastAPI
    from shop.db import get_session
    app = FastAPI()
    @app.post("/")
    async def add(session=Depends(get_session)): ...
    """)

    result = check(folder / "shop" / "api", root=folder)

    assert [(one.path, one.line) for one in result.findings] == [("shop/db.py", 4)]


def test_a_file_that_cannot_be_read_is_said_and_stops_nothing(check, shop):
    (shop / "broken.py").write_text("import fastapi\ndef f(:\n")

    result = check(shop, root=shop)

    assert [(one.path, "line 2" in one.reason) for one in result.skipped] == [("broken.py", True)]
    assert [one.path for one in result.findings] == ["app.py"]


def test_excluded_folders_and_patterns_are_left_out(check, shop):
    (shop / "old").mkdir()
    (shop / "old" / "app.py").write_text(LATE)

    assert [one.path for one in check(shop, root=shop, exclude=["old"]).findings] == ["app.py"]
    assert [one.path for one in check(shop, root=shop, exclude=["old/*.py"]).findings] == ["app.py"]
    assert check(shop, root=shop, exclude=["app.py"]).findings == ()


def test_several_processes_find_what_one_finds(check, tmp_path):
    for number in range(60):
        (tmp_path / f"app{number}.py").write_text(LATE)

    assert check(tmp_path, root=tmp_path, processes=2) == check(tmp_path, root=tmp_path)


def test_a_result_is_used_again_until_a_file_changes(check, shop, tmp_path):
    cache = tmp_path / "cache"
    first = check(shop, root=shop, cache=cache)
    stored = next(cache.glob("*.json"))
    stored.write_text(stored.read_text().replace("acknowledged", "remembered"))

    again = check(shop, root=shop, cache=cache)
    (shop / "app.py").write_text(f"# {LATE}")
    changed = check(shop, root=shop, cache=cache)

    assert "remembered" in again.findings[0].message
    assert "remembered" not in first.findings[0].message
    assert changed.findings != again.findings


@pytest.mark.parametrize("content", ["", "{", "[]", '{"findings": 3}'])
def test_a_broken_cache_is_no_cache(check, shop, tmp_path, content):
    cache = tmp_path / "cache"
    first = check(shop, root=shop, cache=cache)
    next(cache.glob("*.json")).write_text(content)

    assert check(shop, root=shop, cache=cache) == first


def test_findings_keep_their_fingerprint_when_lines_move(check, shop):
    before = check(shop, root=shop).findings[0]
    (shop / "app.py").write_text(
        "\n\n# more\n" + LATE.replace("session.commit()", "session.commit( )")
    )
    after = check(shop, root=shop).findings[0]

    assert before.line != after.line
    assert before.fingerprint == after.fingerprint

"""A fix changes what a request gets, and nothing else; each runs before and after."""

import asyncio
import logging
import sys
from dataclasses import replace
from textwrap import dedent
from types import ModuleType

import httpx
import pytest
from fastapi.testclient import TestClient

from roadworthy.audit.fixes import (
    broad_except,
    exception_text,
    function_scope,
    sleep,
    tuple_return,
    whole_dump,
)
from roadworthy.audit.model.finding import Confidence, Finding, Severity
from roadworthy.audit.rules import RULES
from roadworthy.audit.run.fixable import KNOWN

BROAD = '''\
"""A shop."""
from fastapi import FastAPI, HTTPException

app = FastAPI()


@app.get("/items/{number}")
def read(number: int):
    try:
        if number == 0:
            raise HTTPException(404, "There is none.")
        return {"half": 10 // (number - 2)}
    # whatever it is
    except Exception as error:  # found
        raise HTTPException(500, "It broke.") from error
'''
TUPLE = """\
from fastapi import FastAPI

app = FastAPI()


@app.get("/items/{number}")
def read(number: int):
    if number == 0:
        return {"error": "There is none."}, 404  # found
    return {"number": number}
"""
DUMP = """\
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
items = {1: {"name": "bolt", "price": 1}}


class Patch(BaseModel):
    name: str | None = None
    price: int | None = None


@app.patch("/items/{number}")
def change(number: int, patch: Patch):
    items[number].update(patch.model_dump())  # found
    return items[number]
"""
SLEEP = """\
import time

from fastapi import FastAPI

app = FastAPI()
seen = []


@app.get("/slow")
async def slow():
    seen.append("begins")
    time.sleep(0.05)  # found
    seen.append("ends")
    return {"slept": True}
"""
TEXT = """\
from fastapi import FastAPI, HTTPException

app = FastAPI()


@app.get("/items/{number}")
def read(number: int):
    try:
        if number == 0:
            open("/srv/hunter2")
        return {"number": number}
    except Exception as e:
        raise HTTPException(status_code=500, detail=str(e))  # found
"""
SCOPE = """\
from fastapi import Depends, FastAPI

app = FastAPI()


class Session:
    def commit(self):
        raise RuntimeError("the constraint is deferred")


def get_session():
    session = Session()
    yield session
    session.commit()  # found


@app.post("/orders", status_code=201)
def add_order(session: Session = Depends(get_session)):
    return {"status": "created"}
"""
CASES = {
    "broad-except-eats-http-exception": BROAD,
    "tuple-status-return": TUPLE,
    "patch-null-overwrite": DUMP,
    "blocking-call-in-async-route": SLEEP,
    "exception-text-to-client": TEXT,
    "commit-after-response": SCOPE,
}


def finding(source, *, where=""):
    """Return a finding at the statement of the line that ends with `# found`."""
    lines = source.splitlines()
    line = next(number for number, text in enumerate(lines, 1) if text.endswith("# found"))
    text = lines[line - 1]
    return Finding(
        rule="RW000",
        name="any",
        path="app.py",
        line=line,
        column=len(text) - len(text.lstrip()) + 1,
        end_line=line,
        severity=Severity.HIGH,
        confidence=Confidence.HIGH,
        message="",
        mend="",
        where=where,
    )


def fixed(fix, source):
    change = fix.fix(source.encode(), finding(source))
    assert change is not None
    return change.finished().decode()


@pytest.fixture
def running(monkeypatch):
    """Run the text of a module, and return the module."""

    def run(source):
        module = ModuleType("shop")
        monkeypatch.setitem(sys.modules, "shop", module)
        exec(compile(source, "shop.py", "exec", dont_inherit=True), vars(module))
        return module

    return run


@pytest.fixture
def get(running):
    """Run an application, and return its answer to a request."""

    def ask(source, path, method="GET", **options):
        with TestClient(running(source).app, raise_server_exceptions=False) as client:
            answer = client.request(method, path, **options)
        return answer.status_code, answer.json() if answer.status_code != 500 else answer.text

    return ask


def test_a_404_is_no_longer_a_500(get):
    after = fixed(broad_except, BROAD)

    assert get(BROAD, "/items/0")[0] == 500
    assert get(after, "/items/0") == (404, {"detail": "There is none."})
    for same in ("/items/1", "/items/2"):
        assert get(after, same) == get(BROAD, same)


def test_only_the_new_handler_is_added():
    new = [
        line for line in fixed(broad_except, BROAD).splitlines() if line not in BROAD.split("\n")
    ]

    assert new == ["    except HTTPException:", "        raise"]


def test_an_import_is_added_where_it_is_needed(get):
    other = BROAD.replace(
        "import FastAPI, HTTPException", "import FastAPI\nimport fastapi"
    ).replace("raise HTTPException", "raise fastapi.HTTPException")

    after = fixed(broad_except, other)

    assert get(after, "/items/0")[0] == 404


def test_a_bare_except_lets_it_through_too(get):
    bare = BROAD.replace("except Exception as error:", "except:").replace(" from error", "")

    assert get(fixed(broad_except, bare), "/items/0")[0] == 404


def test_a_tuple_has_the_status_that_was_meant(get):
    after = fixed(tuple_return, TUPLE)

    assert get(TUPLE, "/items/0") == (200, [{"error": "There is none."}, 404])
    assert get(after, "/items/0") == (404, {"error": "There is none."})
    assert get(after, "/items/1") == get(TUPLE, "/items/1")


def test_what_is_no_json_yet_is_encoded(get):
    dated = TUPLE.replace('"There is none."', "date(2026, 1, 2)")
    dated = f"from datetime import date\n{dated}"

    assert get(fixed(tuple_return, dated), "/items/0") == (404, {"error": "2026-01-02"})


def test_headers_of_a_tuple_are_sent(get, running):
    three = TUPLE.replace("}, 404  #", '}, 404, {"X-Why": "none"}  #')

    with TestClient(running(fixed(tuple_return, three)).app) as client:
        answer = client.get("/items/0")

    assert (answer.status_code, answer.headers["X-Why"]) == (404, "none")


def test_an_omitted_field_keeps_its_value(get):
    after = fixed(whole_dump, DUMP)
    asked = {"method": "PATCH", "json": {"price": 2}}

    assert get(DUMP, "/items/1", **asked) == (200, {"name": None, "price": 2})
    assert get(after, "/items/1", **asked) == (200, {"name": "bolt", "price": 2})
    both = {"method": "PATCH", "json": {"price": 2, "name": "nut"}}
    assert get(after, "/items/1", **both) == get(DUMP, "/items/1", **both)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('model_dump(mode="json")', 'model_dump(mode="json", exclude_unset=True)'),
        ('model_dump(mode="json",\n    )', 'model_dump(mode="json", exclude_unset=True,\n    )'),
        ("dict()", "dict(exclude_unset=True)"),
    ],
)
def test_other_arguments_of_a_dump_stay(before, after):
    source = f"def change(patch):\n    # found\n    save(patch.{before})\n"
    hit = replace(finding(source), end_line=4)

    assert after in whole_dump.fix(source.encode(), hit).text.decode()


def test_two_dumps_in_one_line_are_left_to_a_human():
    source = "def change(a, b):\n    save(a.dict(), b.dict())  # found\n"

    assert whole_dump.fix(source.encode(), finding(source)) is None


def test_others_are_served_while_one_sleeps(running):
    async def twice(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            answers = await asyncio.gather(client.get("/slow"), client.get("/slow"))
        return [answer.json() for answer in answers]

    before, after = running(SLEEP), running(fixed(sleep, SLEEP))

    assert asyncio.run(twice(before.app)) == asyncio.run(twice(after.app))
    assert before.seen == ["begins", "ends", "begins", "ends"]
    assert after.seen == ["begins", "begins", "ends", "ends"]


def test_the_import_that_nobody_uses_any_more_is_gone():
    assert "import time" not in fixed(sleep, SLEEP)
    assert "import time" in fixed(sleep, f"{SLEEP}\nbegun = time.monotonic()\n")


def test_nothing_is_awaited_in_a_def():
    source = SLEEP.replace("async def", "def")

    assert sleep.fix(source.encode(), finding(source)) is None


def test_an_exception_s_text_is_in_the_log_and_not_in_the_answer(get, caplog):
    after = fixed(exception_text, TEXT)

    assert "hunter2" in get(TEXT, "/items/0")[1]
    assert caplog.text == ""
    with caplog.at_level(logging.ERROR):
        status, text = get(after, "/items/0")
    assert (status, text) == (500, '{"detail":"Internal Server Error"}')
    assert "hunter2" in caplog.text
    assert get(after, "/items/1") == get(TEXT, "/items/1")


def test_a_logger_that_is_there_is_used():
    there = TEXT.replace("app = ", "log = logging.getLogger('shop')\napp = ")

    assert 'log.exception("read() failed")' in fixed(exception_text, f"import logging\n{there}")


def test_what_is_logged_already_is_not_logged_twice():
    logged = TEXT.replace("as e:\n", 'as e:\n        log.error("failed")\n')

    after = fixed(exception_text, logged)

    assert after.count("log") == logged.count("log")


def test_a_commit_that_fails_is_an_error_of_the_request(get):
    changed = function_scope.fix_all(
        {"app.py": SCOPE.encode()}, finding(SCOPE, where="get_session")
    )
    after = changed["app.py"].text.decode()

    assert get(SCOPE, "/orders", "POST") == (201, {"status": "created"})
    assert get(after, "/orders", "POST")[0] == 500


def test_every_file_that_depends_on_it_is_changed():
    sources = {
        "app.py": SCOPE.encode(),
        "routes/users.py": b"from app import get_session as db\nx = Depends(db, use_cache=False)\n",
        "routes/files.py": b"import app\nx = Annotated[Session, Depends(app.get_session)]\n",
        "routes/other.py": b"from other import get_session\nx = Depends(get_session)\n",
        "routes/done.py": b'import app\nx = Depends(app.get_session, scope="function")\n',
    }

    changed = function_scope.fix_all(sources, finding(SCOPE, where="get_session")) or {}

    assert set(changed) == {"app.py", "routes/users.py", "routes/files.py"}
    assert b'Depends(db, use_cache=False, scope="function")' in changed["routes/users.py"].text
    assert b'Depends(app.get_session, scope="function")]' in changed["routes/files.py"].text


def test_a_dependency_that_another_one_needs_longer_is_left_to_a_human():
    needed = f"{SCOPE}\n\ndef get_user(session=Depends(get_session)):\n    yield session\n"

    assert (
        function_scope.fix_all({"app.py": needed.encode()}, finding(SCOPE, where="get_session"))
        is None
    )


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if rule.name in CASES], ids=lambda r: r.name
)
def test_what_is_found_is_mended_and_found_no_more(project, rule):
    project.write("shop.py", CASES[rule.name])
    select = ("--select", rule.code)
    assert [found for found, *_ in project.found(*select)] == [rule.code]
    options = ["--fix"] if KNOWN[rule.name].safe else ["--fix", "--unsafe"]

    done = project.run(*options, *select)

    assert (done.returncode, done.stderr) == (0, "1 fixed in 1 file.\n"), done.stdout
    assert (project.folder / "shop.py").read_text() != CASES[rule.name]
    assert project.found(*select) == []


def test_what_is_unsafe_is_only_done_on_request(project):
    before = (project.folder / "shop.py").read_text()

    done = project.run("--fix")

    assert (done.returncode, done.stderr) == (1, "0 fixed in 0 files.\n")
    assert (project.folder / "shop.py").read_text() == before


def test_a_diff_shows_what_would_be_mended_and_writes_nothing(project):
    before = (project.folder / "shop.py").read_text()

    done = project.run("--fix", "--unsafe", "--diff", "shop.py")

    assert done.returncode == 1
    assert "--- a/shop.py\n+++ b/shop.py\n" in done.stdout
    assert '+def add_order(session=Depends(get_session, scope="function")):' in done.stdout
    assert (project.folder / "shop.py").read_text() == before


def test_a_diff_can_be_applied(project):
    project.commit()
    project.write("fix.diff", project.run("--fix", "--unsafe", "--diff").stdout)

    project.git("apply", "fix.diff")

    assert project.found() == []


def test_a_fix_that_does_not_help_is_taken_back(project):
    """The dependency is used under a name that the fix does not see, so it is found again."""
    project.write(
        "shop.py",
        (project.folder / "shop.py").read_text()
        + dedent("""

        same = get_session


        @app.get("/orders")
        def list_orders(session=Depends(same)):
            return []
        """),
    )
    before = (project.folder / "shop.py").read_text()

    done = project.run("--fix", "--unsafe")

    assert done.returncode == 1
    assert "Not fixed: RW201 shop.py:9; a fix was tried and did not help." in done.stderr
    assert (project.folder / "shop.py").read_text() == before


def test_line_ends_and_the_encoding_stay(project):
    file = project.folder / "shop.py"
    text = f"# -*- coding: latin-1 -*-\n# caf\xe9\n{file.read_text()}"
    file.write_bytes(text.replace("\n", "\r\n").encode("latin-1"))

    project.run("--fix", "--unsafe")

    changed = file.read_bytes()
    assert b"caf\xe9" in changed
    assert changed.count(b"\r\n") == changed.count(b"\n")
    assert b'scope="function"' in changed


def test_without_libcst_it_says_what_to_install(project):
    blocked = "import sys; sys.modules['libcst'] = None; from roadworthy.cli import main; "
    code = f"{blocked}sys.exit(main(['audit', '--fix', '--unsafe']))"

    done = project.python("-c", code)

    assert done.returncode == 2
    assert done.stderr == "--fix needs libcst. Type: pip install 'roadworthy[audit]'\n"


def test_several_in_one_file_are_mended_though_the_first_adds_an_import(project):
    """What is added above would move the others."""
    more = TUPLE[TUPLE.index("@app") :].replace("/items", "/more").replace("read", "more")
    project.write("shop.py", f"{TUPLE}\n\n{more}")

    done = project.run("--fix")

    assert (done.returncode, done.stderr) == (0, "2 fixed in 1 file.\n"), done.stdout

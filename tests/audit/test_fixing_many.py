"""What is announced as fixable is fixed, for one route and for many, and once is enough."""

import ast
import subprocess
import sys

import pytest

from roadworthy.audit.fixes.imports import with_import, without_unused

DEPS = """\
from fastapi import Depends, FastAPI

app = FastAPI()


class Session:
    def commit(self):
        pass


def get_session():
    session = Session()
    try:
        yield session
        session.commit()
    finally:
        pass
"""
PLAIN = "\n\n@app.post('/a{n}')\ndef a{n}(s: Session = Depends(get_session)):\n    return {{}}\n"
ANNOTATED = (
    "\n\n@app.post('/b{n}')\ndef b{n}(s: Annotated[Session, Depends(get_session)]):\n"
    "    return {{}}\n"
)
ALL = """

@app.get("/c{n}")
def c{n}(k: int = 0):
    try:
        if k:
            raise HTTPException(404, "none")
        return {{"half": open("/nowhere").read()}}
    except Exception as error:
        raise HTTPException(500, f"c{n} was not read: {{error}}")


@app.get("/d{n}")
async def d{n}():
    time.sleep(0)
    time.sleep(0.001)
    return {{"a": 1}}, 404
"""
HEAD = """\
\"\"\"A shop.\"\"\"

import time

from fastapi import FastAPI, HTTPException

app = FastAPI()
"""


@pytest.mark.sampled
@pytest.mark.parametrize("shape", ["plain", "annotated", "mixed"])
@pytest.mark.parametrize("count", [1, 2, 9])
def test_every_route_that_asks_for_a_dependency_is_changed(project, shape, count):
    kinds = {"plain": [PLAIN], "annotated": [ANNOTATED], "mixed": [PLAIN, ANNOTATED]}[shape]
    routes = "".join(kind.format(n=n) for n in range(count) for kind in kinds)
    project.write("shop.py", "from typing import Annotated\n\n" + DEPS + routes)

    done = project.run("--fix", "--unsafe", "--no-cache")

    assert "1 fixed in 1 file." in done.stderr
    assert project.found("--no-cache") == []
    source = (project.folder / "shop.py").read_text()
    assert source.count('Depends(get_session, scope="function")') == count * len(kinds)


@pytest.mark.parametrize("count", [1, 2, 9])
def test_many_mistakes_of_several_kinds_are_mended_at_once(project, count):
    project.write("shop.py", HEAD + "".join(ALL.format(n=n) for n in range(count)))
    announced = project.run("--format", "json", "--no-cache").stdout.count('"fixable": true')

    done = project.run("--fix", "--no-cache")

    assert f"{announced} fixed in 1 file." in done.stderr
    assert "Not fixed" not in done.stderr
    assert announced == 5 * count
    assert project.found("--no-cache") == []
    answers = (
        "import shop; from fastapi.testclient import TestClient; c = TestClient(shop.app);"
        "print([c.get(p).status_code for p in ('/c0', '/c0?k=1', '/d0')])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", answers],
        cwd=project.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout == "[500, 404, 404]\n", ran.stderr


def test_a_second_run_changes_nothing(project):
    project.write("shop.py", HEAD + "".join(ALL.format(n=n) for n in range(3)))
    project.run("--fix", "--no-cache")
    before = (project.folder / "shop.py").read_bytes()

    project.run("--fix", "--no-cache")

    assert (project.folder / "shop.py").read_bytes() == before


def test_a_mended_file_looks_as_its_author_would_have_written_it(project):
    project.write("shop.py", HEAD + ALL.format(n=1))
    project.run("--fix", "--no-cache")

    source = (project.folder / "shop.py").read_text()

    assert source.startswith(
        '"""A shop."""\n\nimport asyncio\nimport logging\n\nfrom fastapi import FastAPI, '
        "HTTPException\nfrom fastapi.responses import JSONResponse\n\napp"
    )
    assert 'logging.getLogger(__name__).exception("c1 was not read")\n' in source
    assert 'raise HTTPException(500, "c1 was not read.") from error\n' in source


@pytest.mark.parametrize(
    "detail",
    ['f"{a}: {error}"', 'f"{error} happened"', "error.args", 'f"{error}"', 'text + f" {error}"'],
)
def test_what_cannot_be_mended_is_not_announced(project, detail):
    route = (
        "\n@app.get('/')\ndef read(a: str):\n    try:\n        return load()\n"
        f"    except Exception as error:\n        raise HTTPException(500, {detail})\n"
    )
    project.write("shop.py", HEAD + route)

    assert '"fixable": true' not in project.run("--format", "json", "--no-cache").stdout


def test_an_older_fastapi_has_no_scopes_and_no_such_fix(project):
    project.write("shop.py", DEPS + PLAIN.format(n=1))
    depends = '[project]\nname = "shop"\nversion = "1"\ndependencies = ["fastapi==0.119"]\n'
    project.write("pyproject.toml", depends)

    assert '"fixable": false' in project.run("--format", "json", "--no-cache").stdout


@pytest.mark.parametrize(
    ("before", "name", "after"),
    [
        ("import os\nx = 1\n", "logging", "import logging\nimport os\nx = 1\n"),
        ("import os\nimport sys\nx = 1\n", "re", "import os\nimport re\nimport sys\nx = 1\n"),
        ("from os import path\nx = 1\n", "logging", "import logging\nfrom os import path\nx = 1\n"),
        ("from a import b\nx = 1\n", "logging", "import logging\n\nfrom a import b\nx = 1\n"),
        ('"""D."""\nx = 1\n', "re", '"""D."""\n\nimport re\nx = 1\n'),
        (
            "from __future__ import annotations\n\nimport z\nx = 1\n",
            "logging",
            "from __future__ import annotations\n\nimport logging\n\nimport z\nx = 1\n",
        ),
        ("from a import b, d\n", "a.c", "from a import b, c, d\n"),
        ("from a import B\n", "a.C", "from a import B, C\n"),
        ("from a import (\n    b,\n)\n", "a.c", "from a import (\n    b,\n)\nfrom a import c\n"),
        ("import logging\n", "logging", "import logging\n"),
    ],
)
def test_imports_stand_where_isort_wants_them(before, name, after):
    assert with_import(before.encode(), name).decode() == after
    ast.parse(after)


def test_an_import_is_removed_where_nothing_uses_it():
    assert without_unused(b"import os\nimport time\n\nx = 1\n", "time") == b"import os\n\nx = 1\n"
    assert without_unused(b"import time\n\ntime.x\n", "time") == b"import time\n\ntime.x\n"

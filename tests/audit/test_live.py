"""What only run time knows is joined to what reading finds."""

import sys
from datetime import timedelta

import pytest

from roadworthy.audit.live import CannotImport, join, look
from roadworthy.audit.model.finding import Confidence, Finding, Severity
from roadworthy.audit.model.result import Result
from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

SHOP = """
# file: shop/__init__.py
# file: shop/db.py
async def get_session():
    session = open_session()
    yield session
    await session.commit()
# file: shop/orders.py
from fastapi import APIRouter, Depends, UploadFile
from shop.db import get_session
router = APIRouter(prefix="/orders")

@router.post("/{id}/file")
async def add_file(id: int, file: UploadFile):
    return len(await file.read())

@router.post("")
async def add_order(session=Depends(get_session, scope=SCOPE)):
    return {}
# file: shop/main.py
from fastapi import FastAPI
from shop.orders import router
app = FastAPI(OPTIONS)
app.include_router(router, prefix="/v1")
def make():
    return app
"""


@pytest.fixture
def shop(write):
    def make(*, scope='"request"', options=""):
        return write(SHOP.replace("SCOPE", scope).replace("OPTIONS", options))

    return make


def result(*findings):
    return Result(findings=findings, files=1, parsed=1, routes=2)


def finding(name, where, path="shop/orders.py", **options):
    given = {
        "rule": "RW501",
        "name": name,
        "path": path,
        "line": 7,
        "column": 1,
        "end_line": 7,
        "severity": Severity.HIGH,
        "confidence": Confidence.HIGH,
        "message": "All of it is read.",
        "mend": "",
        "where": where,
    }
    return Finding(**{**given, **options})


@pytest.mark.parametrize("target", ["shop.main:app", "shop.main", "shop.main:make()"])
def test_routes_have_the_paths_that_clients_use(shop, target):
    app = look(target, folder=shop())

    assert {route.title for route in app.routes} >= {"POST /v1/orders", "POST /v1/orders/{id}/file"}


def test_a_finding_names_the_path_that_clients_use(shop):
    folder = shop()
    app = look("shop.main:app", folder=folder)

    joined = join(result(finding("unbounded-upload-read", "add_file")), app, root=folder)

    message = "POST /v1/orders/{id}/file: All of it is read."
    assert [one.message for one in joined.findings] == [message]


def test_an_upload_that_the_application_limits_is_no_finding(shop):
    folder = shop(options="max_body_size=1000")
    app = look("shop.main:app", folder=folder)

    joined = join(result(finding("unbounded-upload-read", "add_file")), app, root=folder)

    assert joined.findings == ()


@pytest.mark.parametrize(("scope", "number"), [('"function"', 0), ('"request"', 1)])
def test_a_dependency_that_ends_before_the_answer_is_no_finding(shop, scope, number):
    folder = shop(scope=scope)
    app = look("shop.main:app", folder=folder)
    late = finding("commit-after-response", "get_session", "shop/db.py", rule="RW201")

    assert len(join(result(late), app, root=folder).findings) == number


def test_what_the_application_does_not_serve_has_low_confidence(shop):
    folder = shop()
    (folder / "shop" / "old.py").write_text("async def add_file(file): ...\n")
    app = look("shop.main:app", folder=folder)

    joined = join(
        result(finding("unbounded-upload-read", "add_file", "shop/old.py")), app, root=folder
    )

    assert [one.confidence for one in joined.findings] == [Confidence.LOW]


def test_the_whole_audit_can_be_joined(shop):
    folder = shop()
    read = audit([folder], root=folder, rules=RULES, processes=1)

    joined = join(read, look("shop.main:app", folder=folder), root=folder)

    assert "commit-after-response" in {one.name for one in joined.findings}
    assert any("answers" in note for note in joined.notes)


@pytest.mark.parametrize(
    ("target", "says"),
    [("nothere:app", "nothere"), ("shop.main:nothere", "nothere"), ("sulky:app", "SystemExit")],
)
def test_an_application_that_cannot_be_imported_says_why(shop, target, says):
    folder = shop()
    (folder / "sulky.py").write_text("import sys\nprint('hello')\nsys.exit(3)\n")

    with pytest.raises(CannotImport, match=says):
        look(target, folder=folder)


def test_an_import_that_hangs_is_given_up(shop):
    folder = shop()
    (folder / "slow.py").write_text("import time\ntime.sleep(60)\n")

    with pytest.raises(CannotImport, match="within 1 s"):
        look("slow:app", folder=folder, timeout=timedelta(seconds=1))


def test_looking_imports_nothing_here(shop):
    look("shop.main:app", folder=shop())

    assert "shop.main" not in sys.modules

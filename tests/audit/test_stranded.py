"""Which routes no application has, so that nothing said of them is true of a request."""

import pytest

from roadworthy.audit.model.finding import Confidence
from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

RULE = [rule for rule in RULES if rule.code == "RW701"]
SOURCE = """
# file: shop/routes/parcels_old.py
import time
from fastapi import APIRouter
{own}

router = APIRouter()

@router.get("/parcels")
async def parcels():
    time.sleep(1)

# file: shop/routes/orders.py
from fastapi import APIRouter

router = APIRouter()

# file: shop/app.py
from fastapi import FastAPI
{imports}

app = FastAPI()
{includes}

# file: {beside}
{content}
"""
ORDERS = "from shop.routes import orders"
INCLUDES = "app.include_router(orders.router)"


@pytest.fixture
def sure(write):
    def ask(imports=ORDERS, includes=INCLUDES, own="", beside="check.py", content="") -> bool:
        said = {"imports": imports, "includes": includes, "own": own}
        folder = write(SOURCE.format(**said, beside=beside, content=content))
        (found,) = audit([folder], root=folder, rules=RULE, processes=1).findings
        return found.confidence is not Confidence.LOW

    return ask


def test_a_router_that_nothing_names_serves_nobody(sure):
    assert not sure()


def test_a_script_beside_the_package_imports_for_itself(sure):
    assert not sure(content="import importlib; importlib.import_module('shop')")


def test_a_test_serves_nobody(sure):
    assert not sure(beside="tests/test_old.py", content="from shop.routes import parcels_old")


@pytest.mark.parametrize(
    "given",
    [
        {
            "imports": "from shop.routes import parcels_old",
            "includes": "app.include_router(parcels_old.router)",
        },
        {"imports": "from shop.routes.parcels_old import router as parcels"},
        {"beside": "shop/all.py", "content": "ROUTES = ['shop.routes.parcels_old']"},
        {"beside": "shop/all.py", "content": "import pkgutil"},
        {"beside": "shop/all.py", "content": "from importlib import import_module"},
        {"imports": "", "includes": ""},
        {"own": "from fastapi import FastAPI\napp = FastAPI()"},
    ],
)
def test_a_router_that_something_may_include_serves_requests(sure, given):
    assert sure(**given)

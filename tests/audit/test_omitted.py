"""Which fields of a body are written where the request did not name them."""

import textwrap

import pytest

from roadworthy.audit.analyses.patch_writes import writes
from roadworthy.audit.fastapi.routes import routes_in
from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

TOP = """
from typing import Optional
from fastapi import APIRouter
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel
from sqlalchemy import update
from shop import items, Item, Other, session, log, httpx_client

router = APIRouter()

class Patch(BaseModel):
    id: int
    name: Optional[str] = None
    price: Optional[float] = None

    def is_set(self, name):
        return name in self.model_fields_set

def build(kind):
    made = Item() if kind else Other()
    return made

def change(item, name=None, price=None):
    item.name = name
    if price is not None:
        item.price = price

def save(item, body):
    for key, value in body.model_dump().items():
        setattr(item, key, value)

@router.patch("/items/{item_id}")
async def patch_item(item_id: int, body: Patch):
    item = session.get(Item, item_id)
"""


@pytest.fixture
def written(codebase):
    """Return the fields that a route's code overwrites, and those it keeps where they are null."""

    def of(code: str) -> tuple[set[str], set[str]]:
        module = codebase(TOP + textwrap.indent(textwrap.dedent(code), "    ")).module("app.py")
        found = writes(next(iter(routes_in(module))))
        overwritten = {name for one in found for name in one.fields}
        return overwritten, {name for one in found for name in one.kept} - overwritten

    return of


@pytest.mark.parametrize(
    "code",
    [
        "for key, value in body.model_dump().items():\n    setattr(item, key, value)",
        "for key, value in body.dict().items():\n    setattr(item, key, value)",
        "for key, value in dict(body).items():\n    setattr(item, key, value)",
        "for key, value in jsonable_encoder(body).items():\n    setattr(item, key, value)",
        "data = body.model_dump(exclude={'id'})\nitem.sqlmodel_update(data)",
        "await session.execute(update(items).values(**body.model_dump()))",
        "await items.update_one({'id': item_id}, {'$set': body.model_dump()})",
        "items[item_id].update(body.model_dump())",
        "items[item_id] = body.model_dump()",
        "save(item, body)",
        "item.name = body.name\nitem.price = body.price",
        "name = body.name\nitem.name = name\nitem.price = body.price",
    ],
)
def test_what_was_not_sent_is_written(written, code):
    assert written(code) == ({"name", "price"}, set())


@pytest.mark.parametrize(
    "code",
    [
        "for k, v in body.model_dump(exclude_unset=True).items():\n    setattr(item, k, v)",
        "data = body.model_dump(\n  exclude_unset=True,\n  exclude={'id'},\n)\nitem.update(**data)",
        "if 'name' in body.model_fields_set:\n    item.name = body.name",
        "await httpx_client.post('https://x', json=body.model_dump())",
        "log.info(body.model_dump())",
        "made = Item()\nmade.name = body.name",
        "return {'name': body.name}",
        "changed = {}\nchanged['name'] = body.name\nreturn changed",
        "item.id = body.id",
        "if body.is_set('name'):\n    item.name = body.name",
        (
            "try:\n    if body.name is None:\n        raise ValueError\n    item.name = body.name\n"
            "finally:\n    log.info('done')"
        ),
        "made = Item() if body.id else Other()\nmade.name = body.name",
        "made = build(body.id)\nmade.name = body.name",
    ],
)
def test_what_is_asked_for_or_no_write_is_nothing(written, code):
    assert written(code) == (set(), set())


@pytest.mark.parametrize(
    "code",
    [
        "if body.name is not None:\n    item.name = body.name",
        "if body.name:\n    item.name = body.name",
        "item.name = body.name or item.name",
        "item.name = body.name if body.name is not None else item.name",
        "item.name = item.name if body.name is None else body.name",
        "d = body.dict(include=['name'])\nitem.update({k: v for k, v in d.items() if v})",
        "if body.name is None:\n    return item\nitem.name = body.name",
    ],
)
def test_null_that_is_taken_for_not_sent_keeps_what_is_stored(written, code):
    assert written(code) == (set(), {"name"})


def test_what_a_helper_does_with_each_argument_is_told_apart(written):
    code = "change(item, name=body.name, price=body.price)"

    assert written(code) == ({"name"}, {"price"})


def test_a_default_that_is_given_in_place_of_null_is_written(written):
    assert written("item.name = body.name or ''") == ({"name"}, set())


def test_a_dump_loses_what_is_taken_out_of_it(written):
    code = "data = body.model_dump()\ndata.pop('price')\ndel data['id']\nitem.update(**data)"

    assert written(code) == ({"name"}, set())


SAID = """
from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

router = APIRouter()

class Base(DeclarativeBase): ...

class Item(Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    price: Mapped[int] = mapped_column(nullable=False)
    note: Mapped[str | None]

class Patch(BaseModel):
    name: str | None = None
    price: int | None = None
    note: str | None = None

@router.patch("/items/{item_id}")
def patch_item(item_id: int, body: Patch, session: Session):
    item = session.get(Item, item_id)
"""


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("item.price = body.price", "`price` has null written where what is stored takes none"),
        (
            "item.price = body.price; item.name = body.name",
            "`name`, `price` has null written where what is stored takes none",
        ),
        ("item.note = body.note", "`note` has null written over what is stored"),
        (
            "item.note = body.note; item.price = body.price",
            "`note` has null written over what is stored",
        ),
        ("other(item).price = body.price", "`price` has null written over what is stored"),
    ],
)
def test_what_becomes_of_a_null_depends_on_the_column(write, code, said):
    folder = write(f"{SAID}    {code}\n    session.commit()\n")
    rules = [rule for rule in RULES if rule.code == "RW101"]

    (found,) = audit([folder], root=folder, rules=rules, processes=1).findings

    assert said in found.message

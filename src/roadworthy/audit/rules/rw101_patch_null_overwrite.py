"""RW101: a PATCH of one field writes the defaults of the others."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.analyses.patch_writes import Write, writes
from roadworthy.audit.fastapi import models
from roadworthy.audit.fastapi.routes import Route
from roadworthy.audit.model.finding import Confidence, Severity, Step
from roadworthy.audit.model.place import Place
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source.nodes import walk

__all__ = ["RULE"]


_SHOWN: Final = 4
"""Fields that a message names."""


def _check(route: Route) -> Iterator[Hit]:
    if not route.methods & {"PATCH", "PUT"} or not route.bodies:
        return
    found = writes(route)
    bad = [one for one in found if one.fields]
    if not bad:
        return
    confidence = _confidence(route, found)
    for place, one in _places(bad).items():
        yield Hit(
            place=place,
            message=_message(route, one),
            confidence=confidence,
            flow=_flow(route, one[0]),
            fixable=not one[0].chain and _dumps(one[0].node),
        )


def _dumps(node: ast.AST) -> bool:
    """Return whether a dump stands in the place itself, where options can be added."""
    return any(isinstance(one, ast.Attribute) and one.attr == "model_dump" for one in walk(node))


def _confidence(route: Route, found: tuple[Write, ...]) -> Confidence:
    """Return how sure it is that the route promises to change only what was sent."""
    fields = [one for body in route.bodies for one in models.fields(body.model)]
    if "PATCH" in route.methods:
        return Confidence.HIGH if len(fields) > 1 else Confidence.LOW
    partly = any(one.kept for one in found)
    updates = "update" in route.function.name or "patch" in route.function.name
    optional = all(
        not one.required for body in route.bodies for one in models.fields(body.model).values()
    )
    return Confidence.MEDIUM if partly and updates and optional else Confidence.LOW


def _places(found: list[Write]) -> dict[Place, list[Write]]:
    """Gather writes by where the route does them, or calls what does: one finding for each."""
    gathered: dict[Place, list[Write]] = {}
    for one in found:
        if one.chain:
            first = one.chain[0]
            place = first.scope.place(first.call.node)
        else:
            place = one.scope.place(one.node)
        gathered.setdefault(place, []).append(one)
    assigned = [place for place, some in gathered.items() if not some[0].chain]
    for place in assigned[1:]:  # field by field in the route: one finding says it for all
        gathered[assigned[0]] += gathered.pop(place)
    return gathered


def _message(route: Route, found: list[Write]) -> str:
    defaults = {
        name: field for body in route.bodies for name, field in models.fields(body.model).items()
    }
    fields = frozenset[str]().union(*(each.fields for each in found))
    nulls = {name for name in fields if name in defaults and defaults[name].default_is_none}
    refused = {name for name in nulls if any(_refuses(one, name) for one in found)}
    shown = sorted(fields - refused or fields)
    more = " …" if len(shown) > _SHOWN else ""
    named = ", ".join(f"`{name}`" for name in shown[:_SHOWN]) + more
    who = f"{route.title}: who does not send {named}"
    if fields == refused:  # pyright: ignore[reportUnnecessaryComparison]
        return f"{who} has null written where what is stored takes none: that is an error 500."
    what = "null" if nulls.issuperset(shown) else "the default"
    return f"{who} has {what} written over what is stored."


def _refuses(write: Write, name: str) -> bool:
    """Return whether the column of a field takes no null: the database refuses the write."""
    return name in write.fields and write.takes_null(name) is False


def _flow(route: Route, write: Write) -> tuple[Step, ...]:
    function = route.function
    first = Step(function.module.path, function.node.lineno, f"{route.title} takes the body")
    calls = tuple(
        Step(one.scope.module.path, one.call.node.lineno, "hands the value on, sent or not")
        for one in write.chain
    )
    place = write.scope.place(write.node)
    return (first, *calls, Step(place.path, place.line, "writes it without asking"))


_MODELS = """
from typing import Optional
from fastapi import APIRouter
from pydantic import BaseModel

router = APIRouter()

class ItemPatch(BaseModel):
    name: Optional[str] = None
    price: Optional[float] = None
"""

_BAD_FIELDS = Example(
    _MODELS
    + """
@router.patch("/items/{item_id}")
def patch_item(item_id: int, patch: ItemPatch, session: Session):
    item = session.get(Item, item_id)
    item.name = patch.name  # found
    item.price = patch.price
    session.commit()
""",
    note="Field by field: who sends a price alone loses the name.",
)

_BAD_LOOP = Example(
    _MODELS
    + """
@router.patch("/items/{item_id}")
def patch_item(item_id: int, patch: ItemPatch, session: Session):
    item = session.get(Item, item_id)
    for name, value in patch.model_dump().items():
        setattr(item, name, value)  # found
    session.commit()
""",
)

_BAD_DICT = Example(
    _MODELS
    + """
stock = {"item-001": {"name": "Bolt", "price": 9.99}}

@router.patch("/items/{item_id}")
def patch_item(item_id: str, patch: ItemPatch):
    item = stock[item_id]
    item["name"] = patch.name  # found
    item["price"] = patch.price
    return item

@router.patch("/copies/{item_id}")
def patch_copy(item_id: str, patch: ItemPatch):
    stored = ItemPatch(**stock[item_id])
    changed = stored.model_copy(update=patch.model_dump())  # found
    stock[item_id] = changed.model_dump()
    return changed

@router.patch("/labels/{item_id}")
def label(item_id: str, patch: ItemPatch):
    label = {"id": item_id}
    label["name"] = patch.name
    return label
""",
)

_BAD_ELSEWHERE = Example(
    """
# file: shop/store.py
from sqlalchemy import update
from shop.tables import items

class Store:
    async def change(self, session, item_id, name=None, price=None):
        name = name if name is not None else (await self.get(item_id)).name
        await session.execute(update(items).values(name=name, price=price))
# file: shop/api.py
from typing import Optional
from fastapi import APIRouter
from pydantic import BaseModel
from shop.store import Store

router = APIRouter()
store = Store()

class ItemPatch(BaseModel):
    name: Optional[str] = None
    price: Optional[float] = None

@router.patch("/items/{item_id}")
async def patch_item(item_id: int, patch: ItemPatch, session):
    await store.change(session, item_id, name=patch.name, price=patch.price)  # found
""",
    note="The write is in another file, and one of two fields is asked about there.",
)

_GOOD_UNSET = Example(
    _MODELS
    + """
@router.patch("/items/{item_id}")
def patch_item(item_id: int, patch: ItemPatch, session: Session):
    item = session.get(Item, item_id)
    for name, value in patch.model_dump(exclude_unset=True).items():
        setattr(item, name, value)
    session.commit()
"""
)

_GOOD_REQUIRED = Example("""
from fastapi import APIRouter
from pydantic import BaseModel

router = APIRouter()

class Tier(BaseModel):
    tier: int

@router.patch("/users/{user_id}/tier")
def patch_tier(user_id: int, body: Tier, session: Session):
    user = session.get(User, user_id)
    user.tier = body.tier
    session.commit()
""")

_GOOD_MISSING = Example("""
from fastapi import APIRouter
from pydantic import MISSING, BaseModel

router = APIRouter()

class ItemPatch(BaseModel):
    name: str | MISSING = MISSING

@router.patch("/items/{item_id}")
def patch_item(item_id: int, patch: ItemPatch, session: Session):
    item = session.get(Item, item_id)
    for name, value in patch.model_dump().items():
        setattr(item, name, value)
    session.commit()
""")

RULE: Final = Rule(
    code="RW101",
    name="patch-null-overwrite",
    severity=Severity.HIGH,
    looks="route",
    check=_check,
    summary="A PATCH writes the defaults of fields that the client did not send.",
    why="""An optional field of the body has its default, mostly `None`, where the request does
not name it. Written like a value that was sent, it replaces what is stored: a client that
changes the name of a thing also removes its price, its budget, its end date. Nothing
fails, and nobody sees it until the data is gone.""",
    mend=(
        "Write only what was sent: body.model_dump(exclude_unset=True). Leave `| None` only to "
        'fields that may be null where they are stored: `title: str = ""`.'
    ),
    ours="`Patch[Model]` of `roadworthy.patching` derives the model with `pydantic.MISSING`.",
    bad=(_BAD_FIELDS, _BAD_LOOP, _BAD_DICT, _BAD_ELSEWHERE),
    good=(_GOOD_UNSET, _GOOD_REQUIRED, _GOOD_MISSING),
)
"""Finds PATCH routes that overwrite stored values with defaults that nobody sent."""

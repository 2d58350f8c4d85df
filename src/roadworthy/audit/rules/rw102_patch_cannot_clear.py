"""RW102: a field that can be null in storage cannot be set to null again."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.analyses.patch_writes import Write, writes
from roadworthy.audit.fastapi import models
from roadworthy.audit.fastapi.routes import Route
from roadworthy.audit.model.finding import Confidence, Severity, Step
from roadworthy.audit.model.place import Place
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source.flow import Event
from roadworthy.audit.source.nodes import is_none, same

__all__ = ["RULE"]


def _check(route: Route) -> Iterator[Hit]:
    if not route.bodies or not (route.methods & {"PATCH"} or _is_partial(route)):
        return
    found: dict[str, Write] = {}
    for write in writes(route):
        cleared = _cleared_after(write, route) | _cleared_by_hand(write)
        for name in sorted(write.kept - cleared):
            if _takes_null(route, name) and write.wants_null(name):
                found.setdefault(name, write)
    if found:
        first = next(iter(found.values()))
        yield Hit(
            place=_place(first),
            message=_message(route, list(found)),
            confidence=Confidence.MEDIUM,
            flow=_flow(route, first),
        )


def _cleared_after(write: Write, route: Route) -> frozenset[str]:
    """Return the fields of which a later write, which is always reached, stores a null."""
    later = (
        one.nulls
        for one in writes(route)
        if one.scope is write.scope and _line(one) > _line(write) and _is_always_reached(one)
        if same(_owner(one), _owner(write))
    )
    return frozenset().union(*later)  # pyright: ignore[reportUnknownVariableType]


def _cleared_by_hand(write: Write) -> frozenset[str]:
    """Return the fields that the same function sets to None elsewhere, or itself at its end."""
    owner = _owner(write)
    set_here = {
        target.attr
        for event in write.scope.flow.assigns
        if isinstance(event.node, ast.Assign)
        if is_none(event.node.value) or _is_set_after(event, write)
        for target in event.node.targets
        if isinstance(target, ast.Attribute) and same(target.value, owner)
    }
    return frozenset(one for one in write.kept if write.column(one) in set_here)


def _is_set_after(event: Event, write: Write) -> bool:
    """Return whether the service sets it behind the write, whatever the client has sent."""
    later = getattr(event.node, "lineno", 0) > _line(write)
    return later and not any(event.blocks("if", "else", "case", "handler", "loop"))


def _owner(write: Write) -> ast.expr | None:
    """Return what a write changes: `item` of `item.name = ...` and `setattr(item, ...)`."""
    match write.node:
        case ast.Assign(targets=[ast.Attribute(value=owner)]):
            return owner
        case ast.Call(func=ast.Name(id="setattr"), args=[owner, *_]):
            return owner
        case _:
            return None


def _line(write: Write) -> int:
    return getattr(write.node, "lineno", 0)


def _is_always_reached(write: Write) -> bool:
    flow = write.scope.flow
    events: list[Event] = [*flow.calls, *flow.assigns]
    return any(
        event.node is write.node and not any(event.blocks("if", "else", "case", "handler"))
        for event in events
    )


def _is_partial(route: Route) -> bool:
    """Return whether a PUT takes a model in which nothing is required, as a PATCH would."""
    fields = [one for body in route.bodies for one in models.fields(body.model).values()]
    return "PUT" in route.methods and len(fields) > 1 and not any(one.required for one in fields)


def _takes_null(route: Route, name: str) -> bool:
    return any(
        field.nullable
        for body in route.bodies
        for field in models.fields(body.model).values()
        if field.name == name
    )


def _place(write: Write) -> Place:
    if write.chain:
        return write.chain[0].scope.place(write.chain[0].call.node)
    return write.scope.place(write.node)


def _message(route: Route, fields: list[str]) -> str:
    named = ", ".join(f"`{name}`" for name in fields[:4])
    return (
        f"{route.title}: a client that sends null for {named} has its 2xx, and the old value "
        "stays: null is taken for not sent, so the field can never be cleared."
    )


def _flow(route: Route, write: Write) -> tuple[Step, ...]:
    function = route.function
    first = Step(function.module.path, function.node.lineno, f"{route.title} takes the body")
    calls = tuple(
        Step(one.scope.module.path, one.call.node.lineno, "hands the value on")
        for one in write.chain
    )
    place = write.scope.place(write.node)
    return (first, *calls, Step(place.path, place.line, "keeps what is stored where it is None"))


_MODELS = """
from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import Column, Integer, String
from sqlalchemy.orm import DeclarativeBase, Session

router = APIRouter()

class Base(DeclarativeBase): ...

class Item(Base):
    id = Column(Integer, primary_key=True)
    name = Column(String, nullable=False)
    note = Column(String)

class ItemPatch(BaseModel):
    name: str | None = None
    note: str | None = None
"""

_BAD_IF = Example(
    _MODELS
    + """
@router.patch("/items/{item_id}")
def patch_item(item_id: int, patch: ItemPatch, session: Session):
    item: Item = session.get(Item, item_id)
    if patch.name is not None:
        item.name = patch.name
    if patch.note is not None:
        item.note = patch.note  # found
    session.commit()
""",
    note="`name` is never null in storage; `note` is, and no client can make it so again.",
)

_BAD_OR = Example(
    _MODELS
    + """
def change(item: Item, name: str | None = None, note: str | None = None) -> None:
    item.name = name or item.name
    item.note = note or item.note

@router.patch("/items/{item_id}")
def patch_item(item_id: int, patch: ItemPatch, session: Session):
    change(session.get(Item, item_id), **patch.model_dump())  # found
    session.commit()
"""
)

_GOOD = Example(
    _MODELS
    + """
@router.patch("/items/{item_id}")
def patch_item(item_id: int, patch: ItemPatch, session: Session):
    item: Item = session.get(Item, item_id)
    for name, value in patch.model_dump(exclude_unset=True, exclude={"name"}).items():
        setattr(item, name, value)
    session.commit()
"""
)

_GOOD_NEVER_NULL = Example(
    _MODELS
    + """
@router.patch("/items/{item_id}")
def patch_item(item_id: int, patch: ItemPatch, session: Session):
    item: Item = session.get(Item, item_id)
    if patch.name is not None:
        item.name = patch.name
    if "note" in patch.model_fields_set:
        item.note = patch.note
    session.commit()
"""
)

RULE: Final = Rule(
    code="RW102",
    name="patch-cannot-clear",
    severity=Severity.LOW,
    looks="route",
    check=_check,
    summary="A PATCH takes null for not sent, so that a field can never be cleared.",
    why="""`if body.note is not None` and `body.note or item.note` treat a null that was sent like
a field that was not. Where the stored field can be null, the client has no way to say so:
its request is answered with success and changes nothing.""",
    mend="Ask what was sent: body.model_dump(exclude_unset=True), or body.model_fields_set.",
    ours="`Patch[Model]` of `roadworthy.patching` tells null from not sent (RFC 7396).",
    bad=(_BAD_IF, _BAD_OR),
    good=(_GOOD, _GOOD_NEVER_NULL),
)
"""Finds PATCH routes by which a field can never be set to null."""

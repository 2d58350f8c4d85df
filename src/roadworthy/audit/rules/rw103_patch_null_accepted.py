"""RW103: a PATCH writes a null of the client where nothing can be null."""

from collections.abc import Iterator
from typing import Final

from roadworthy.audit.analyses.null_writes import NullWrite, null_writes
from roadworthy.audit.fastapi import models
from roadworthy.audit.fastapi.routes import Route
from roadworthy.audit.model.finding import Confidence, Severity, Step
from roadworthy.audit.model.place import Place
from roadworthy.audit.model.rule import Example, Hit, Rule

__all__ = ["RULE"]

_SHOWN: Final = 4


def _check(route: Route) -> Iterator[Hit]:
    if not ("PATCH" in route.methods or _is_partial(route)):
        return
    found: dict[Place, list[NullWrite]] = {}
    for write in null_writes(route):
        found.setdefault(_place(write), []).append(write)
    for place, writes in found.items():
        fields = frozenset[str]().union(*(one.fields for one in writes))
        yield Hit(
            place=place,
            message=_message(route, sorted(fields), writes[0]),
            confidence=Confidence.HIGH if writes[0].owner else Confidence.MEDIUM,
            flow=_flow(route, writes[0]),
        )


def _is_partial(route: Route) -> bool:
    """Return whether a PUT takes a model in which nothing is required, as a PATCH would."""
    fields = [one for body in route.bodies for one in models.fields(body.model).values()]
    return "PUT" in route.methods and len(fields) > 1 and not any(one.required for one in fields)


def _place(write: NullWrite) -> Place:
    if write.chain:
        return write.chain[0].scope.place(write.chain[0].call.node)
    return write.scope.place(write.node)


def _message(route: Route, fields: list[str], write: NullWrite) -> str:
    named = ", ".join(f"`{name}`" for name in fields[:_SHOWN])
    more = " …" if len(fields) > _SHOWN else ""
    where = f"`{write.owner}`" if write.owner else "what is stored"
    then = (
        "what catches IntegrityError tells the client of another mistake."
        if write.is_answered
        else "it is an error 500, or what is stored is spoiled."
    )
    return (
        f"{route.title}: a client that sends null for {named}{more} has it written, and {where} "
        f"has no null there: {then}"
    )


def _flow(route: Route, write: NullWrite) -> tuple[Step, ...]:
    if not write.chain:
        return ()
    function = route.function
    first = Step(function.module.path, function.node.lineno, f"{route.title} takes the body")
    calls = tuple(
        Step(one.scope.module.path, one.call.node.lineno, "hands the value on, null or not")
        for one in write.chain
    )
    place = write.scope.place(write.node)
    return (first, *calls, Step(place.path, place.line, "writes it without a look at null"))


_TOP = """
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

app = FastAPI()
sessions = sessionmaker(create_engine("sqlite:///shop.db"))

class Base(DeclarativeBase): ...

class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    note: Mapped[str | None]

def get_session():
    with sessions() as session:
        yield session
"""

_COLUMN = Example(
    _TOP
    + """
class ItemChange(BaseModel):
    title: str | None = None
    note: str | None = None

@app.patch("/items/{number}")
def change(number: int, body: ItemChange, session: Session = Depends(get_session)):
    item = session.get(Item, number)
    for field, value in body.model_dump(exclude_unset=True).items():
        setattr(item, field, value)  # found
    session.commit()
""",
    "`title` may be left out, which is what was meant; it may be null as well.",
)

_DICT = Example("""
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
items = {"item-1": {"name": "Bolt", "price": 9.99}}

class ItemChange(BaseModel):
    name: str | None = None
    price: float | None = None

@app.patch("/items/{number}")
def change(number: str, body: ItemChange):
    items[number].update(body.model_dump(exclude_unset=True))  # found
    return items[number]
""")

_GOOD = Example(
    _TOP
    + """
class ItemChange(BaseModel):
    title: str = ""
    note: str | None = None

class TitleChange(BaseModel):
    title: str | None = None

@app.patch("/items/{number}")
def change(number: int, body: ItemChange, session: Session = Depends(get_session)):
    item = session.get(Item, number)
    for field, value in body.model_dump(exclude_unset=True).items():
        setattr(item, field, value)
    session.commit()

@app.patch("/titles/{number}")
def rename(number: int, body: TitleChange, session: Session = Depends(get_session)):
    item = session.get(Item, number)
    if "title" in body.model_fields_set and body.title is None:
        raise HTTPException(422, "A title cannot be null.")
    for field, value in body.model_dump(exclude_unset=True).items():
        setattr(item, field, value)
    session.commit()
""",
    'A default that is never written, `""`, refuses null and may be left out.',
)

RULE: Final = Rule(
    code="RW103",
    name="patch-null-accepted",
    severity=Severity.MEDIUM,
    looks="route",
    check=_check,
    summary="A PATCH takes null for a field that can never be null where it is stored.",
    why="""`title: str | None = None` was meant to say that `title` may be left out. It also says
that it may be null. `exclude_unset=True` keeps what was sent, the null too: `{"title": null}` is
written. A column that is NOT NULL answers with an IntegrityError and a 500; a dict, a document or
a model that is not validated again holds a null that its readers do not expect.""",
    mend='Give the field a type that refuses null: `title: str = ""` with exclude_unset=True.',
    ours="`Patch[Item]` of `roadworthy.patching` takes null only where `Item` does.",
    bad=(_COLUMN, _DICT),
    good=(_GOOD,),
)
"""Finds PATCH routes that write a null where the column takes none."""

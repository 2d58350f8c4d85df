"""RW706: a route answers with all rows of a table, however many there are."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.fastapi.routes import Route
from roadworthy.audit.model.finding import Confidence, Severity
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source import names
from roadworthy.audit.source.flow import Call
from roadworthy.audit.source.module import Assigned, Function
from roadworthy.audit.source.nodes import walk
from roadworthy.audit.source.ref import Ref

__all__ = ["RULE"]

_ALL: Final = frozenset({"all", "fetchall"})
_BOUNDS: Final = frozenset({"limit", "fetch", "slice", "paginate", "yield_per"})
_LOADED: Final = frozenset({"sqlalchemy.orm.Query", "sqlalchemy.Result", "sqlalchemy.ScalarResult"})


def _check(route: Route) -> Iterator[Hit]:
    if "GET" not in route.methods:
        return
    function = route.function
    for call in function.flow.calls:
        if _loads_all(call, function) and not _is_bounded(call.node, function):
            yield Hit(place=function.place(call.node), message=_MESSAGE, confidence=_SURE)


_SURE: Final = Confidence.MEDIUM
_MESSAGE: Final = (
    "This loads every row that fits: the answer, its memory and its time grow with the table."
)


def _loads_all(call: Call, function: Function) -> bool:
    func = call.node.func
    if not isinstance(func, ast.Attribute) or func.attr not in _ALL:
        return False
    owner: Ref | None = names.resolve(func.value, function)
    return owner is not None and owner.name in _LOADED


def _is_bounded(node: ast.AST, function: Function, hops: int = 4) -> bool:
    """Return whether a limit stands in a statement, also in names that lead to it."""
    for part in walk(node):
        if isinstance(part, ast.Attribute) and part.attr in _BOUNDS:
            return True
        if isinstance(part, ast.Name) and hops:
            given = [one for one in function.names.get(part.id, ()) if isinstance(one, Assigned)]
            if any(one.value and _is_bounded(one.value, function, hops - 1) for one in given):
                return True
    return False


_TOP = """
from fastapi import Depends, FastAPI
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

app = FastAPI()
sessions = sessionmaker(create_engine("sqlite:///shop.db"))

class Base(DeclarativeBase): ...

class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)

def get_session():
    with sessions() as session:
        yield session
"""

_BAD = Example(
    _TOP
    + """
@app.get("/orders")
def orders(session: Session = Depends(get_session)):
    return session.scalars(select(Order)).all()  # found
"""
)

_GOOD = Example(
    _TOP
    + """
@app.get("/orders")
def orders(after: int = 0, session: Session = Depends(get_session)):
    page = select(Order).where(Order.id > after).order_by(Order.id).limit(100)
    return session.scalars(page).all()
"""
)

RULE: Final = Rule(
    code="RW706",
    name="unbounded-list",
    severity=Severity.LOW,
    looks="route",
    check=_check,
    summary="A route loads all rows that fit, with no limit.",
    why="""It is fast while the table is small. A year later the same request loads a hundred
thousand rows into memory, and a few at a time take the service away. Many tables stay small, and
the code does not say which: so it is asked where somebody selects it.""",
    mend="select(...).order_by(Order.id).limit(100), and a parameter for where the page starts.",
    bad=(_BAD,),
    good=(_GOOD,),
    default=False,
)
"""Finds routes that load rows without a limit."""

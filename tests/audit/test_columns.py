"""What a row is, however it was loaded, and which of its fields can be null."""

import ast

import pytest

from roadworthy.audit.analyses.columns import stored

TOP = """
from typing import Annotated, Any, Optional, TypedDict, Union
import dataclasses
import sqlalchemy as sa
from fastapi import Depends
from pydantic import BaseModel
from peewee import CharField
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import (
    DeclarativeBase, Mapped, Session, declared_attr, deferred, mapped_column, relationship,
    sessionmaker,
)
from sqlmodel import Field, SQLModel
from tortoise import fields, models

Words = str | None
short = Annotated[str, mapped_column(String(9), nullable=True)]

def required(length):
    return mapped_column(String(length), nullable=False)
"""


@pytest.fixture
def takes_null(codebase):
    """Return whether field `f` of `it`, in function `use` of a project, takes null."""

    def ask(code: str, node: str = "it") -> bool | None:
        module = codebase(TOP + code).module("app.py")
        scope = next(one for one in module.functions if one.name == "use")
        target = stored(ast.parse(node, mode="eval").body, scope)
        return None if target is None else target.takes_null("f")

    return ask


@pytest.mark.parametrize(
    ("field", "answer"),
    [
        ("f: Mapped[str]", False),
        ("f: Mapped[str] = mapped_column(String(9))", False),
        ("f: Mapped[str] = mapped_column(nullable=True)", True),
        ("f: Mapped[str | None]", True),
        ("f: Mapped[None | str]", True),
        ("f: Mapped[Optional[str]]", True),
        ("f: Mapped[Union[str, int, None]]", True),
        ("f: Mapped['str | None']", True),
        ("f: 'Mapped[Optional[str]]'", True),
        ("f: Mapped[Words]", True),
        ("f: Mapped[short]", True),
        ("f: Mapped[str | None] = mapped_column(nullable=False)", False),
        ("f: Mapped[int | None] = mapped_column(primary_key=True)", False),
        ("f: Mapped[Any]", None),
        ("f: Mapped[str | None] = relationship()", None),
        ("f: Mapped['NoneSuch']", False),
        ("f = mapped_column(String)", True),
        ("f = mapped_column(String, nullable=False)", False),
        ("f = mapped_column(String, nullable=STRICT)", None),
        ("f = deferred(mapped_column(String, nullable=False))", False),
        ("f = Column(String)", True),
        ("f = sa.Column(sa.String)", True),
        ("f = sa.Column(sa.String, nullable=False)", False),
        ("f = Column('f', Integer, ForeignKey('rows.id'))", True),
        ("f = Column(Integer, primary_key=True)", False),
        ("f: str = Column(String)", None),
        ("f: str | None = Column(String)", True),
        ("f = required(9)", False),
        ("f = 9", None),
        ("g: Mapped[str]", None),
        ("@declared_attr\n    def f(cls) -> Mapped[str | None]: ...", True),
        ("def f(self): ...", None),
    ],
)
def test_a_column_says_whether_it_takes_null(takes_null, field, answer):
    code = f"class Base(DeclarativeBase): ...\nclass Row(Base):\n    {field}\n"

    assert takes_null(code + "def use(it: Row): ...") is answer


@pytest.mark.parametrize(
    ("cls", "answer"),
    [
        ("class Row(SQLModel, table=True):\n    f: str", False),
        ("class Row(SQLModel, table=True):\n    f: str | None = None", True),
        ("class Row(SQLModel, table=True):\n    f: Optional[int] = Field(primary_key=True)", False),
        ("class Row(SQLModel, table=True):\n    f: str = Field(nullable=True)", True),
        ("class Row(SQLModel, table=True):\n    f: Words = Field(sa_column=Column(String))", True),
        (
            (
                "class Row(SQLModel, table=True):\n"
                "    f: str = Field(sa_column=Column(String, nullable=False))"
            ),
            False,
        ),
        (
            (
                "class Row(SQLModel, table=True):\n"
                "    f: Words = Field(None, sa_column_kwargs={'nullable': False})"
            ),
            False,
        ),
        ("class B(SQLModel):\n    f: str | None = None\nclass Row(B, table=True): ...", True),
        ("class Row(BaseModel):\n    f: str", False),
        ("class Row(BaseModel):\n    f: Annotated[str | None, Field()] = None", True),
        ("class Row(models.Model):\n    f = fields.CharField(9)", False),
        ("class Row(models.Model):\n    f = fields.CharField(9, null=True)", True),
        ("class Row(Base):\n    f = CharField(null=True)", True),
        ("class Row(TypedDict):\n    f: str", False),
        ("@dataclasses.dataclass\nclass Row:\n    f: Words", True),
        ("class Row:\n    def __init__(self, f: str):\n        self.f = f", False),
        ("class Row:\n    def __init__(self, f):\n        self.f: str | None = f", True),
        ("class Row:\n    def __init__(self, f):\n        self.f = f", None),
    ],
)
def test_models_of_each_library_say_whether_a_field_takes_null(takes_null, cls, answer):
    assert takes_null(f"{cls}\ndef use(it: Row): ...") is answer


ROW = """
class Base(DeclarativeBase): ...
class Row(Base):
    f: Mapped[str]
makes = sessionmaker()
amakes = async_sessionmaker()
"""


@pytest.mark.parametrize(
    "load",
    [
        "s.get(Row, n)",
        "s.get_one(Row, n)",
        "s.get(entity=Row, ident=n)",
        "s.get(Row, n, with_for_update=True) or missing()",
        "s.query(Row).first()",
        "s.query(Row).filter(Row.id == n).one_or_none()",
        "s.query(Row).filter_by(id=n).with_for_update().one()",
        "s.query(Row).get(n)",
        "s.query(Row).all()[0]",
        "s.scalar(select(Row))",
        "s.scalar(select(Row).where(Row.id == n).with_for_update())",
        "s.scalar(statement=sa.select(Row))",
        "s.scalars(select(Row)).one()",
        "s.scalars(select(Row)).unique().first()",
        "s.scalars(select(Row)).all()[0]",
        "s.execute(select(Row)).scalar_one()",
        "s.execute(select(Row)).scalar_one_or_none()",
        "s.execute(select(Row)).scalars().first()",
        "s.execute(select(Row)).unique().scalars().one_or_none()",
        "s.execute(select(Row)).one()[0]",
        "s.execute(select(Row)).first()[0]",
        "s.exec(select(Row)).first()",
        "next(iter(s.scalars(select(Row))))",
        "next(iter(s.scalars(select(Row))), None)",
        "(found := s.get(Row, n))",
        "list(s.scalars(select(Row)))[0]",
    ],
)
@pytest.mark.parametrize("how", ["s: Session", "s: AsyncSession", "s=None"])
def test_a_row_is_known_from_how_it_was_loaded(takes_null, load, how):
    wait = "await " if "Async" in how else ""
    if wait:
        for call in ("get(", "get_one(", "scalar(", "scalars(", "execute(", "exec(", "merge("):
            load = load.replace(f"s.{call}", f"(await s.{call}", 1) if "query" not in load else load
        load = _closed(load)
    code = f"{ROW}async def use(n, {how}):\n    it = {load}\n"
    code = code.replace("s=None", "s")

    assert takes_null(code) is False


def _closed(load: str) -> str:
    """Close the bracket that `(await s.call(...)` has opened, behind that call."""
    at = load.find("(await ")
    if at < 0:
        return load
    depth, start = 0, load.index("(", at + 1)
    for end in range(start, len(load)):
        depth += {"(": 1, ")": -1}.get(load[end], 0)
        if not depth:
            return f"{load[: end + 1]}){load[end + 1 :]}"
    return load


@pytest.mark.parametrize(
    "code",
    [
        "def load(s, n):\n    return s.get(Row, n)\ndef use(s, n):\n    it = load(s, n)",
        "def load(s, n) -> Row | None: ...\ndef use(s, n):\n    it = load(s, n)",
        "async def load(s, n) -> 'Row': ...\nasync def use(s, n):\n    it = await load(s, n)",
        (
            "def load(s, n):\n    it = s.get(Row, n)\n    if it is None:\n        raise KeyError\n"
            "    return it\ndef use(s, n):\n    it = load(s, n)"
        ),
        (
            "class Rows:\n    def __init__(self, s: Session):\n        self.s = s\n"
            "    def one(self, n):\n        return self.s.get(Row, n)\n"
            "def use(s, n):\n    it = Rows(s).one(n)"
        ),
        "def row(s: Session):\n    return s.get(Row, 1)\ndef use(it=Depends(row)): ...",
        "def row(s): ...\ndef use(it: Annotated[Row, Depends(row)]): ...",
        "def use(n):\n    with makes() as s:\n        it = s.get(Row, n)",
        "def use(n):\n    with makes.begin() as s:\n        it = s.get(Row, n)",
        "async def use(n):\n    async with amakes() as s:\n        it = await s.get(Row, n)",
        "def use(s, n):\n    statement = select(Row)\n    it = s.scalar(statement)",
        (
            "def use(s, n):\n    q = select(Row)\n    q = q.where(Row.id == n)\n"
            "    found = s.execute(q)\n    it = found.scalar_one()"
        ),
        "def use(s: Session):\n    it = s.merge(Row())",
        "def use(s: Session):\n    for it in s.scalars(select(Row)): ...",
        "def use(s):\n    for it in s.execute(select(Row)).scalars(): ...",
        "def use(s: Session, n):\n    if (it := s.get(Row, n)) is None:\n        raise KeyError",
        "def use(s, n):\n    (it,) = s.execute(select(Row)).one()",
        "kept: dict[str, Row] = {}\ndef use(n):\n    it = kept[n]",
        "kept: dict[str, Row] = {}\ndef use(n):\n    it = kept.get(n)",
        "kept: list[Row] = []\ndef use(n):\n    it = next(one for one in kept if one.id == n)",
        "kept: list[Row] = []\ndef use(n):\n    for it in kept: ...",
        "kept: dict[str, Row] = {}\ndef use(n):\n    for it in kept.values(): ...",
        "kept = {'a': {'f': 'x'}}\ndef use(n):\n    it = kept[n]",
        "kept = {'a': {'f': 'x'}, 'b': {'f': 'y'}}\ndef use(n):\n    it = kept.get(n)",
        "kept = [{'f': 'x'}]\ndef use(n):\n    it = next(o for o in kept if o['id'] == n)",
        "kept = [{'f': 'x'}]\ndef use(n):\n    for it in kept: ...",
        "kept = {'f': 3}\ndef use():\n    it = kept",
        "kept: dict[str, dict[str, str]] = {}\ndef use(n):\n    it = kept[n]",
        "kept: dict[str, dict[str, Any]] = {'a': {'f': 'x'}}\ndef use(n):\n    it = kept[n]",
        "kept: dict[str, dict] = {'a': {'f': 'x'}}\ndef use(n):\n    it = kept[n]",
        "it = Table('t', MetaData(), Column('f', String, nullable=False))\ndef use(n): ...",
        "a = Table('t', meta, Column('f', String, nullable=False))\nit = a\ndef use(): ...",
        "it = Row\ndef use(): ...",
    ],
)
def test_what_is_stored_is_known_in_other_shapes(takes_null, code):
    assert takes_null(ROW + code) is False


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("kept = {'a': {'f': 'x'}, 'b': {'f': None}}\ndef use(n):\n    it = kept[n]", True),
        ("kept = {'a': {'f': 'x'}, 'b': {}}\ndef use(n):\n    it = kept[n]", None),
        ("kept = {'a': {'f': load()}}\ndef use(n):\n    it = kept[n]", None),
        ("kept: dict[str, dict[str, str | None]] = {}\ndef use(n):\n    it = kept[n]", True),
        ("kept = {}\ndef use(n):\n    it = kept[n]", None),
        ("it = Table('t', MetaData(), Column('f', String))\ndef use(n): ...", True),
        ("it = Table('t', MetaData(), Column('g', String))\ndef use(n): ...", None),
        ("def use(it): ...", None),
        ("def use(s, key):\n    it = s.get(key)", None),
        ("def use(s):\n    it = s.execute(select(Row.f)).scalar_one()", None),
        ("def use(cache, n):\n    it = cache.get('Row', n)", None),
    ],
)
def test_what_the_code_does_not_tell_is_not_told(takes_null, code, answer):
    assert takes_null(ROW + code) is answer

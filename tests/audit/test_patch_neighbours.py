"""PATCH rules hold for each way to load, hand on and write, and keep quiet for what is right."""

import textwrap

import pytest

from roadworthy.audit.fastapi.routes import routes_in
from roadworthy.audit.rules.rw101_patch_null_overwrite import RULE as OVERWRITES
from roadworthy.audit.rules.rw102_patch_cannot_clear import RULE as NEVER_CLEARS
from roadworthy.audit.rules.rw103_patch_null_accepted import RULE as TAKES_NULL

TOP = """
import dataclasses
from dataclasses import dataclass
from typing import Annotated, Optional
import sqlalchemy as sa
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel
from sqlalchemy import Column, MetaData, String, Table, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

app = FastAPI()
UNSET = object()

class Base(DeclarativeBase): ...

class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    note: Mapped[str | None]

    def rename(self, title, note):
        self.title = title
        self.note = note

books = Table("books", MetaData(), Column("title", String, nullable=False), Column("note", String))
stock = {"a": {"title": "A", "note": None}}
kept: dict[str, "Kept"] = {}

class Kept(BaseModel):
    title: str
    note: str | None = None

class Change(BaseModel):
    title: str | None = None
    note: str | None = None

    def given(self): return self.model_dump(exclude_unset=True)
    def all(self): return self.model_dump()
    def other(self): return Other(title=self.title, note=self.note)
    def put(self, book):
        book.title = self.title
        book.note = self.note

class Other(BaseModel):
    title: str | None = None
    note: str | None = None

@dataclass
class Plain:
    title: str | None
    note: str | None

def write(book, values):
    for k, v in values.items():
        setattr(book, k, v)

def second(book, values): write(book, values)
def third(book, values): second(book, values)

def from_model(book, change):
    book.title = change.title
    book.note = change.note

def merged(change, stored):
    return {**stored, **change.model_dump()}

class Books:
    def __init__(self, session: Session): self.session = session
    def load(self, n): return self.session.get(Book, n)
    def change(self, n, values): write(self.load(n), values)
    def change_by(self, n, change): self.change(n, change.model_dump())

def get_books(session: Session) -> Books: return Books(session)

def load(session, n):
    return session.get(Book, n)
"""


@pytest.fixture
def found(codebase):
    """Return the names of the rules that find something in a PATCH with some code."""

    def ask(code: str, parameters: str = "s: Session", model: str = "Change") -> set[str]:
        body = textwrap.indent(textwrap.dedent(code), "    ")
        route = "\n@app.patch('/books/{n}')\nasync def change(n: int, body: "
        head = f"{route}{model}, {parameters}):\n"
        module = codebase(f"{TOP}{head}    book = load(s, n)\n{body}\n").module("app.py")
        route = next(iter(routes_in(module)))
        rules = (OVERWRITES, NEVER_CLEARS, TAKES_NULL)
        return {rule.code for rule in rules if list(rule.check(route))}

    return ask


@pytest.mark.parametrize(
    "code",
    [
        "write(book, body.model_dump())",
        "third(book, body.model_dump())",
        "write(book, body.all())",
        "write(book, vars(body))",
        "write(book, body.__dict__)",
        "write(book, dict(body))",
        "write(book, {**body.model_dump()})",
        "write(book, dict(title=body.title, note=body.note))",
        "for k, v in body: setattr(book, k, v)",
        "for k in Change.model_fields: setattr(book, k, getattr(body, k))",
        "book.title, book.note = body.title, body.note",
        "book.note = getattr(body, 'note')",
        "from_model(book, body)",
        "from_model(book, body.other())",
        "from_model(book, Other(**body.model_dump()))",
        "from_model(book, Other.model_validate(body.model_dump()))",
        "from_model(book, Other.model_validate(body, from_attributes=True))",
        "from_model(book, body.model_copy())",
        "from_model(book, Plain(title=body.title, note=body.note))",
        "write(book, dataclasses.asdict(Plain(title=body.title, note=body.note)))",
        "write(book, Other(**body.model_dump()).model_dump(exclude_unset=True))",
        "write(book, Other(**body.given()).model_dump())",
        "body.put(book)",
        "book.rename(body.title, body.note)",
        "book.rename(title=body.title, note=body.note)",
        "Books(s).change(n, body.model_dump())",
        "Books(s).change_by(n, body)",
        "vars(book).update(body.model_dump())",
        "book.__dict__.update(body.model_dump())",
        "s.execute(update(Book).where(Book.id == n).values(**body.model_dump()))",
        "s.execute(sa.update(Book).values(note=body.note))",
        "q = update(Book)\nq = q.where(Book.id == n)\ns.execute(q.values(body.model_dump()))",
        "s.execute(update(Book).where(Book.id == n), body.model_dump())",
        "s.execute(books.update().where(books.c.id == n).values(**body.model_dump()))",
        "s.query(Book).filter(Book.id == n).update(body.model_dump())",
        "s.merge(Book(id=n, **body.model_dump()))",
        "book.sqlmodel_update(body.model_dump())",
        "kept[n] = kept[n].model_copy(update=body.model_dump())",
        "stock[n] = {**stock[n], **body.model_dump()}",
        "stock[n] = stock[n] | body.model_dump()",
        "stock[n] |= body.model_dump()",
        "entry = stock[n]\nentry |= body.model_dump()",
        "stock[n].update(body.model_dump())",
        "stock[n].update(**body.model_dump())",
        "stock[n] = dict(stock[n], **body.model_dump())",
        "kept[n] = Kept(**{**kept[n].model_dump(), **body.model_dump()})",
        "kept[n] = Kept.model_validate(kept[n].model_dump() | body.model_dump())",
        "setattr(book, 'note', body.note)",
        "s.bulk_update_mappings(Book, [{'id': n, **body.model_dump()}])",
        "if n: (lambda: None)()\nfrom_model(book, change=body)",
        "match n:\n  case 1: book.note = body.note",
        "with s.begin(): book.note = body.note",
        "await run_in_threadpool(write, book, body.model_dump())",
        "values = body.model_dump()\nvalues.pop('title')\nwrite(book, values)",
        "stock[n] = merged(body, stock[n])",
        "entry = stock.get(n)\nentry['note'] = body.note",
        "data = {}\ndata.update(body.model_dump())\nwrite(book, data)",
        "if isinstance(body, dict): data = body\nelse: data = body.model_dump()\nwrite(book, data)",
        "if 'note' in book.locked: book.note = body.note",
    ],
)
def test_a_default_is_followed_to_where_it_is_written(found, code):
    assert "RW101" in found(code)


@pytest.mark.parametrize(
    "code",
    [
        "write(book, body.given())",
        "third(book, body.model_dump(exclude_unset=True))",
        "from_model(book, kept[n])",
        "sent = body.model_dump(exclude_unset=True)\nfor k in sent: setattr(book, k, sent[k])",
        "for k in body.model_fields_set: setattr(book, k, getattr(body, k))",
        "for k in sorted(body.model_fields_set): setattr(book, k, getattr(body, k))",
        "for k, v in body.all().items():\n  if k in body.model_fields_set: setattr(book, k, v)",
        "write(book, {k: getattr(body, k) for k in body.model_fields_set})",
        "sent = body.model_fields_set\nif 'note' in sent: book.note = body.note",
        "raw = await r.json()\nif 'note' in raw: book.note = body.note",
        "s.execute(update(Book).values(**body.model_dump(exclude_unset=True)))",
        "kept[n] = kept[n].model_copy(update=body.model_dump(exclude_unset=True))",
        "s.execute(select(Book).where(Book.note == body.note))",
        "print(body.model_dump())",
        "made = Book(**body.model_dump())\ns.add(made)",
        "r.state.note = body.note",
        "s.info['note'] = body.note",
        "if isinstance(body, dict): data = {}\nelse: data = body.given()\nwrite(book, data)",
    ],
)
def test_what_was_sent_alone_is_no_overwrite(found, code):
    assert "RW101" not in found(code, "s: Session, r: Request")


@pytest.mark.parametrize(
    "code",
    [
        "if body.note is not None: book.note = body.note",
        "if body.note: book.note = body.note",
        "if body.note is None: return book\nbook.note = body.note",
        "book.note = body.note or book.note",
        "book.note = body.note if body.note is not None else book.note",
        "note = body.note\nif note is not None: book.note = note",
        "write(book, body.model_dump(exclude_none=True))",
        "write(book, body.model_dump(exclude_unset=True, exclude_none=True))",
        "write(book, {k: v for k, v in body.given().items() if v is not None})",
        "for k, v in body.given().items():\n  if v is None: continue\n  setattr(book, k, v)",
        "for k, v in body.given().items():\n  if v is not None: setattr(book, k, v)",
        "s.execute(update(Book).values(**body.model_dump(exclude_none=True)))",
        "s.execute(update(books).values(**body.model_dump(exclude_none=True)))",
        "s.execute(update(Book).values(note=func.coalesce(body.note, Book.note)))",
        "s.query(Book).filter(Book.id == n).update(body.model_dump(exclude_none=True))",
        "Books(s).change(n, body.model_dump(exclude_none=True))",
        "stock['a'].update(body.model_dump(exclude_none=True))",
        "kept[n] = kept[n].model_copy(update=body.model_dump(exclude_none=True))",
        "data = {}\nif body.note is not None: data['note'] = body.note\nwrite(book, data)",
    ],
)
def test_a_null_that_is_skipped_can_never_clear_a_nullable_column(found, code):
    assert found(code) == {"RW102"}


@pytest.mark.parametrize(
    "code",
    [
        "if body.title is not None: book.title = body.title",
        "write(book, body.model_dump(exclude_none=True, include={'title'}))",
        "write(book, body.model_dump(exclude_none=True, exclude={'note'}))",
        "data = {'title': body.title} if body.title else {}",
        "other = somewhere(n)\nif body.note is not None: other.note = body.note",
        "if 'note' in body.model_fields_set: book.note = body.note",
    ],
)
def test_a_column_that_is_never_null_needs_no_clearing(found, code):
    assert found(code) == set()


@pytest.mark.parametrize(
    "model",
    [
        "class B(BaseModel):\n    title: str = ''\n    note: str = ''",
        "class B(BaseModel):\n    title: str\n    note: str | None",
    ],
)
def test_a_body_that_requires_all_or_refuses_null_is_quiet(codebase, model):
    route = (
        "@app.put('/b')\ndef change(n: int, body: B, s: Session):\n    from_model(load(s, n), body)"
    )
    module = codebase(f"{TOP}\n{model}\n{route}\n").module("app.py")
    (one,) = routes_in(module)

    assert [hit.confidence.name for hit in NEVER_CLEARS.check(one)] == []
    assert list(TAKES_NULL.check(one)) == []

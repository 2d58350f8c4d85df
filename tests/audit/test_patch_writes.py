"""What a PATCH writes that nobody sent, however the row and the values are called."""

import pytest

from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

OVERWRITES = [one for one in RULES if one.code == "RW101"]
CANNOT_CLEAR = [one for one in RULES if one.code == "RW102"]


@pytest.fixture
def found(write):
    def ask(code: str, rules=OVERWRITES) -> list[int]:
        folder = write(code)
        return [one.line for one in audit([folder], root=folder, rules=rules, processes=1).findings]

    return ask


START = """\
from fastapi import Depends, FastAPI, Request, Response
from pydantic import BaseModel
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
import logging
import crud

app = FastAPI()

class Base(DeclarativeBase): ...

class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    note: Mapped[str | None]
    shelf: Mapped[int | None]

class Change(BaseModel):
    note: str | None = None
    shelf: int | None = None
    def as_other(self): return Other(note=self.note, shelf=self.shelf)
    def as_dict(self): return self.model_dump()
    def sent(self): return self.model_dump(exclude_unset=True)

class Other(BaseModel):
    note: str | None = None
    shelf: int | None = None

def load(session, number): return session.get(Book, number)

def put(row, values):
    for k, v in values.items(): setattr(row, k, v)

def put_two(row, values): put(row, values)

def whole(body): return body.model_dump()

def only_sent(body): return body.model_dump(exclude_unset=True)
"""
PATCH = """
@app.patch("/books/{{number}}")
async def change({parameters}):
    {body}
"""
PARAMETERS = "number: int, body: Change, session: Session"
NAMES = ["b", "x", "book", "logo", "catalog", "requested", "my_request", "responses", "contexts"]
NAMES += ["header", "headers_row", "self_made", "stated", "prologue", "log", "request", "response"]


def patch(body: str, parameters: str = PARAMETERS) -> str:
    return START + PATCH.format(parameters=parameters, body=body)


@pytest.mark.parametrize("name", NAMES)
def test_a_row_is_written_to_whatever_it_is_called(found, name):
    body = f"{name} = session.get(Book, number)\n    {name}.note = body.note"

    assert found(patch(body))


@pytest.mark.parametrize(
    ("parameters", "target"),
    [
        ("r: Request", "r.state.note"),
        ("r: Response", "r.headers['note']"),
        ("r: Request", "r.session['note']"),
        ("r=None", "logging.getLogger('x').note"),
    ],
)
def test_what_travels_with_a_request_is_not_stored(found, parameters, target):
    assert found(patch(f"{target} = body.note", f"number: int, body: Change, {parameters}")) == []


WRITES = [
    "put(row, body.model_dump())",
    "put_two(row, body.model_dump())",
    "put(row, whole(body))",
    "put(row, body.as_dict())",
    "put(row, vars(body))",
    "put(row, body.as_other().model_dump())",
    "put(row, Other(**body.model_dump()).model_dump())",
    "put(row, Other.model_validate(body.model_dump()).model_dump())",
    "o = body.as_other(); row.note = o.note",
    "o = Other(note=body.note); row.note = o.note",
    "session.execute(update(Book).where(Book.id == number).values(**body.model_dump()))",
    "session.query(Book).filter(Book.id == number).update(body.model_dump())",
    "put(row, {k: v for k, v in body.model_dump().items() if number})",
    "put(row, {k: v for k, v in body.model_dump().items() if k != 'shelf'})",
    "put(row, {key: v for key, v in body.model_dump().items() if 'key'})",
    "put(row, {v: k for v, k in body.model_dump().items() if 'v is not None'})",
]
KEEPS = [
    "put(row, body.model_dump(exclude_unset=True))",
    "put(row, only_sent(body))",
    "put(row, body.sent())",
    "put(row, {k: v for k, v in body.model_dump().items() if k in body.model_fields_set})",
    "put(row, {k: v for k, v in body.model_dump().items() if v is not None})",
    "put(row, {k: v for k, v in body.model_dump().items() if k not in ('note', 'shelf')})",
    (
        "sent = crud.sent()\n    for k, v in body.model_dump().items():\n        if k in sent: "
        "setattr(row, k, v)"
    ),
    "o = Other(note=body.note); o.note = body.note",
    "row.title = 'x' if body.note else 'y'",
]


@pytest.mark.parametrize("body", WRITES)
def test_a_value_that_was_not_sent_is_followed_to_where_it_is_written(found, body):
    assert found(patch(f"row = load(session, number)\n    {body}"))


@pytest.mark.parametrize("body", KEEPS)
def test_only_what_was_sent_is_written(found, body):
    assert found(patch(f"row = load(session, number)\n    {body}")) == []


LOADED = [
    "session.get(Book, number)",
    "session.get_one(Book, number)",
    "session.query(Book).first()",
    "session.query(Book).filter(Book.id == number).one()",
    "session.scalar(select(Book).where(Book.id == number))",
    "session.scalars(select(Book)).one()",
    "session.execute(select(Book)).scalar_one()",
    "session.execute(select(Book)).scalars().first()",
    "load(session, number)",
]


@pytest.mark.parametrize("loaded", LOADED)
@pytest.mark.parametrize("parameters", [PARAMETERS, "number: int, body: Change, session=None"])
def test_a_nullable_field_of_a_row_cannot_be_cleared_however_it_was_loaded(
    found, loaded, parameters
):
    body = f"b = {loaded}\n    if body.note is not None:\n        b.note = body.note"

    assert found(patch(body, parameters), CANNOT_CLEAR)


@pytest.mark.parametrize("loaded", [one for one in LOADED if "query" not in one][:6])
def test_rows_of_async_sessions_are_known_too(found, loaded):
    loaded = loaded.replace("session.", "await session.", 1)
    if ").one()" in loaded or ".scalar_one()" in loaded:
        loaded = f"({loaded.replace('))', ')))', 1)}"
    body = f"b = {loaded}\n    if body.note is not None:\n        b.note = body.note"

    assert found(patch(body, PARAMETERS.replace("Session", "AsyncSession")), CANNOT_CLEAR)


@pytest.mark.parametrize(
    "body",
    [
        "b.title = body.note or b.title",
        "b.note = body.note",
        "put(b, body.model_dump(exclude_unset=True))",
    ],
)
def test_what_is_never_null_or_can_be_cleared_is_quiet(found, body):
    assert found(patch(f"b = session.get(Book, number)\n    {body}"), CANNOT_CLEAR) == []


def test_a_dump_without_nulls_cannot_clear(found):
    body = "b = session.get(Book, number)\n    put(b, body.model_dump(exclude_none=True))"

    assert found(patch(body), CANNOT_CLEAR)


TWICE = """
@app.patch("/books/{{number}}")
def change(number: int, body: Change, session: Session):
    book = session.get(Book, number)
    other = session.get(Book, number + 1)
{before}
    if body.note is not None:
        book.note = body.note
{after}
    session.commit()
"""
LOOP = "for k, v in body.model_dump({given}).items(): setattr({row}, k, v)"
SENT_ONLY = LOOP.format(given="exclude_unset=True", row="book")


@pytest.mark.parametrize("after", [SENT_ONLY, "book.note = body.note"])
def test_a_null_that_a_later_line_writes_clears_the_field(found, after):
    code = START + TWICE.format(before="    pass", after=f"    {after}")

    assert found(code, CANNOT_CLEAR) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("pass", "pass"),
        (SENT_ONLY, "pass"),
        ("pass", LOOP.format(given="exclude_unset=True, exclude={'note'}", row="book")),
        ("pass", LOOP.format(given="exclude_none=True", row="book")),
        ("pass", LOOP.format(given="exclude_unset=True", row="other")),
        ("pass", f"if number:\n        {SENT_ONLY}"),
    ],
)
def test_a_null_that_no_later_line_writes_for_sure_is_found(found, before, after):
    code = START + TWICE.format(before=f"    {before}", after=f"    {after}")

    assert found(code, CANNOT_CLEAR)

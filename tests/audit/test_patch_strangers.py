"""PATCH rules on the ways of strangers' services: what holds a value, who decides, who clears."""

import textwrap

import pytest

from roadworthy.audit.fastapi.routes import routes_in
from roadworthy.audit.rules.rw101_patch_null_overwrite import RULE as OVERWRITES
from roadworthy.audit.rules.rw102_patch_cannot_clear import RULE as NEVER_CLEARS
from roadworthy.audit.rules.rw103_patch_null_accepted import RULE as TAKES_NULL

TOP = """
from typing import Generic, Optional, TypeVar
from fastapi import FastAPI, HTTPException
from fastapi_users import BaseUserManager, IntegerIDMixin
from pydantic import BaseModel
from sqlalchemy import JSON, Boolean, Column, String
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlmodel import Field, SQLModel

app = FastAPI()
REQUIRED = {"title"}

class Base(DeclarativeBase): ...

class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    note: Mapped[str | None]
    shelf: Mapped[str | None]

class Change(BaseModel):
    title: str | None = None
    note: str | None = None
    shelf: str | None = None
    hide: bool = False

class Users(IntegerIDMixin, BaseUserManager[Book, int]): ...

def write(book, values):
    for k, v in values.items():
        setattr(book, k, v)
"""


@pytest.fixture
def found(codebase):
    """Return the rules, with their messages, that find something in a PATCH with some code."""

    def ask(code: str, top: str = TOP, parameters: str = "s: Session") -> dict[str, str]:
        body = textwrap.indent(textwrap.dedent(code), "    ")
        head = (
            f"@app.patch('/books/{{n}}')\nasync def change(n: int, body: Change, {parameters}):\n"
        )
        load = "    book = s.get(Book, n)\n"
        module = codebase(f"{top}\n{head}{load}{body}\n").module("app.py")
        route = next(iter(routes_in(module)))
        rules = (OVERWRITES, NEVER_CLEARS, TAKES_NULL)
        return {rule.code: hit.message for rule in rules for hit in rule.check(route)}

    return ask


ASKED_ABOVE = {
    "what was sent": "new = book.note\nif 'note' in body.model_fields_set: new = body.note\n"
    "book.note = new",
    "early": "new = book.note\nsent = body.model_fields_set\n"
    "if 'note' in sent:\n  new = body.note\nbook.note = new",
    "either branch": "if 'note' in body.model_fields_set: new = body.note\n"
    "else: new = book.note\nbook.note = new",
}


@pytest.mark.parametrize("case", ASKED_ABOVE)
def test_a_local_that_holds_what_is_stored_until_the_body_says_more_is_no_overwrite(found, case):
    assert found(ASKED_ABOVE[case]) == {}


@pytest.mark.parametrize(
    ("code", "rules"),
    [
        ("new = book.title\nif body.title is not None: new = body.title\nbook.title = new", set()),
        ("new = book.note\nif body.note is not None: new = body.note\nbook.note = new", {"RW102"}),
        ("new = body.note\nif n: new = body.note\nbook.note = new", {"RW101"}),
        (
            (
                "new = book.title\nif 'title' in body.model_fields_set: new = body.title\n"
                "book.title = new"
            ),
            {"RW103"},
        ),
        ("new = book.note\nif n: new = body.note\nbook.note = new", {"RW101"}),
        ("if body.note is not None: new = body.note\nelse: new = None\nbook.note = new", {"RW101"}),
    ],
)
def test_a_local_keeps_the_condition_under_which_it_was_given(found, code, rules):
    assert set(found(code)) == rules


@pytest.mark.parametrize(
    ("code", "rules"),
    [
        ("if body.hide: book.note = body.note or 'hidden'", set()),
        ("if body.hide: book.note = body.note", {"RW101"}),
        ("book.note = body.note or 'none'", {"RW101"}),
    ],
)
def test_a_default_text_of_an_action_that_was_asked_for_is_no_overwrite(found, code, rules):
    assert set(found(code)) == rules


@pytest.mark.parametrize(
    ("code", "rules"),
    [
        ("await users.update(body, book)", set()),
        ("await users.update(body, book, safe=True)", set()),
        ("self = users\nself.repository.update(s, book, body)", set()),
        ("store.update(n, body.model_dump())", {"RW101"}),
        ("book.sqlmodel_update(body)", {"RW101", "RW103"}),
    ],
)
def test_who_is_given_the_whole_model_decides_itself_what_to_write(found, code, rules):
    top = TOP + "\nusers: Users = Users(None)\n"

    assert set(found(code, top)) == rules


SENT = "body.model_dump(exclude_unset=True)"
REFUSED_BEFORE = {
    "a set of names": f"for k, v in {SENT}.items():\n"
    "  if k in REQUIRED and v is None: continue\n  setattr(book, k, v)",
    "the other way round": f"for k, v in {SENT}.items():\n"
    "  if v is None and k in {'title'}: continue\n  setattr(book, k, v)",
    "one name": f"for k, v in {SENT}.items():\n"
    "  if k == 'title' and v is None: continue\n  setattr(book, k, v)",
    "replaced": f"data = {SENT}\nif 'title' in data: data['title'] = str(n)\nwrite(book, data)",
    "replaced always": f"data = {SENT}\ndata['title'] = str(n)\nwrite(book, data)",
}


@pytest.mark.parametrize("case", REFUSED_BEFORE)
def test_a_null_that_does_not_get_as_far_spoils_nothing(found, case):
    assert "RW103" not in found(REFUSED_BEFORE[case])


@pytest.mark.parametrize(
    "code",
    [
        (
            f"for k, v in {SENT}.items():\n  if k in {{'note'}} and v is None: continue\n"
            "  setattr(book, k, v)"
        ),
        f"data = {SENT}\ndata['note'] = 'x'\nwrite(book, data)",
        f"data = {SENT}\nif n: data['other'] = 'x'\nwrite(book, data)",
        f"data = {SENT}\ndata['title'] = body.title\nwrite(book, data)",
    ],
)
def test_what_is_done_to_another_name_leaves_the_null(found, code):
    assert "`title`" in found(code)["RW103"]


def test_who_answers_an_integrity_error_is_told_what_the_answer_will_be(found):
    code = f"""
try:
  write(book, {SENT})
  s.commit()
except IntegrityError:
  raise HTTPException(409, "There is such a book.")
"""
    assert "500" not in found(code)["RW103"]
    assert "IntegrityError" in found(code)["RW103"]
    assert "500" in found(f"write(book, {SENT})\ns.commit()")["RW103"]


CLEARED = {
    "by the empty string": "if body.note is not None: book.note = body.note or None",
    "by the empty string, asked again": "if body.note is not None:\n"
    "  book.note = body.note if body.note else None",
    "by another way": "if body.note: book.note = body.note\nelif body.hide: book.note = None",
    "where what replaces it comes": "if body.note:\n  book.note = body.note\n  book.shelf = None\n"
    "elif body.shelf:\n  book.shelf = body.shelf\n  book.note = None",
    "by the service itself": "for k, v in vars(body).items():\n"
    "  if v is not None: setattr(book, k, v)\nbook.note = str(n)",
    "beside the dump": "data = body.model_dump(exclude_none=True)\n"
    "for k in ('title', 'shelf'): data.pop(k, None)\n"
    "if 'note' in body.model_fields_set: data['note'] = body.note\nwrite(book, data)",
}


@pytest.mark.parametrize("case", CLEARED)
def test_a_field_that_the_route_can_clear_is_not_stuck(found, case):
    assert "`note`" not in found(CLEARED[case]).get("RW102", "")


@pytest.mark.parametrize(
    "code",
    [
        (
            "for k, v in vars(body).items():\n  if v is not None:\n"
            "    if isinstance(v, dict): v = dict(v)\n    setattr(book, k, v)"
        ),
        "note = body.note\nif note is not None:\n  note = str(note)\n  book.note = note",
        "if body.note is not None: book.note = body.note",
        "if body.note is not None: book.note = body.note or 'none'",
        "if body.note: book.note = body.note\nelif body.hide: book.shelf = None",
        (
            "for k, v in vars(body).items():\n  if v is not None: setattr(book, k, v)\n"
            "if n: book.note = 'x'"
        ),
    ],
)
def test_a_field_that_nothing_clears_is_stuck(found, code):
    assert "`note`" in found(code)["RW102"]


TABLE = """
class Row(SQLModel, table=True):
    id: int = Field(primary_key=True)
    title: str = ""
"""


@pytest.mark.parametrize(
    ("column", "stuck"),
    [
        ("note: dict = Field(default_factory=dict, sa_column=Column(JSON))", False),
        ("note: int = Field(sa_column=Column('note', String))", False),
        ("note: Optional[bool] = False", False),
        ("note: Optional[int] = Field(default=0)", False),
        ("note: Optional[bool] = None", True),
        ("note: Optional[dict] = Field(default=None, sa_column=Column(JSON))", True),
        ("note: Optional[str] = ''", True),
        ("note: str = Field(sa_column=Column(String, nullable=True))", True),
    ],
)
def test_what_the_model_calls_never_null_or_a_flag_needs_no_clearing(found, column, stuck):
    top = f"{TOP}{TABLE}    {column}\n"
    code = "row = s.get(Row, n)\nif body.note is not None: row.note = body.note"
    notes = found(code, top)

    assert ("RW102" in notes) is stuck

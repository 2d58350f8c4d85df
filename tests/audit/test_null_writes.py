"""A null of the client is followed to where nothing can be null, and no further."""

import pytest

TOP = """\
from typing import Annotated, Optional
from fastapi import Depends, FastAPI, HTTPException
from pydantic import AfterValidator, BaseModel, Field, field_validator, model_validator
from sqlalchemy import Column, String, create_engine, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

app = FastAPI()
class Base(DeclarativeBase): ...
class Row(Base):
    __tablename__ = "rows"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(9))
    size = Column(String, nullable=False)
    note: Mapped[Optional[str]]
    mark = Column(String)
class Model(BaseModel):
    title: str
    note: str | None = None
rows = {"a": {"title": "A", "note": None}}
models: dict[str, Model] = {}
def load(db: Session, n: int) -> Row:
    return db.get(Row, n)
def save(row: Row, values: dict):
    for k, v in values.items():
        setattr(row, k, v)
class Rows:
    def change(self, db: Session, n: int, body):
        row = db.get(Row, n)
        save(row, body.model_dump(exclude_unset=True))
"""
SENT = "body.model_dump(exclude_unset=True)"
LOOP = f"for k, v in {SENT}.items():\n        setattr(x, k, v)"
SPOILED = {
    "get": f"x = db.get(Row, n)\n    {LOOP}",
    "scalar": f"x = db.scalar(select(Row).where(Row.id == n))\n    {LOOP}",
    "query": f"x = db.query(Row).filter(Row.id == n).first()\n    {LOOP}",
    "helper": f"x = load(db, n)\n    {LOOP}",
    "save": f"x = load(db, n)\n    save(x, {SENT})",
    "service": "Rows().change(db, n, body)",
    "kept": f"x = load(db, n)\n    d = {SENT}\n    for k in d:\n        setattr(x, k, d[k])",
    "field": "x = load(db, n)\n    if 'title' in body.model_fields_set:\n"
    "        x.title = body.title",
    "update": f"db.execute(update(Row).where(Row.id == n).values(**{SENT}))",
    "query-update": f"db.query(Row).filter(Row.id == n).update({SENT})",
    "dict": f"rows['a'].update({SENT})",
    "copy": f"models['a'] = models['a'].model_copy(update={SENT})",
    "set": "x = load(db, n)\n    for k in body.model_fields_set:\n"
    "        setattr(x, k, getattr(body, k))",
    "unset": "x = load(db, n)\n    for k, v in body.dict(exclude_unset=True).items():\n"
    "        setattr(x, k, v)",
    "other": f"x = load(db, n)\n    if body.note is not None:\n        pass\n    {LOOP}",
}
SAFE = {
    "exclude-none": "x = load(db, n)\n    save(x, body.model_dump(exclude_none=True))",
    "excluded": "x = load(db, n)\n    save(x, body.model_dump(exclude_unset=True, "
    "exclude={'title', 'size'}))",
    "included": "x = load(db, n)\n    save(x, body.model_dump(exclude_unset=True, "
    "include={'note'}))",
    "skipped": f"x = load(db, n)\n    for k, v in {SENT}.items():\n        if v is None:\n"
    "            continue\n        setattr(x, k, v)",
    "only": f"x = load(db, n)\n    for k, v in {SENT}.items():\n        if v is not None:\n"
    "            setattr(x, k, v)",
    "comprehension": f"x = load(db, n)\n    save(x, {{k: v for k, v in {SENT}.items() "
    "if v is not None})",
    "refused": "x = load(db, n)\n    if 'title' in body.model_fields_set and body.title is None "
    f"or body.size is None:\n        raise HTTPException(422)\n    {LOOP}",
    "all": f"x = load(db, n)\n    d = {SENT}\n    if None in d.values():\n"
    "        raise HTTPException(422)\n    save(x, d)",
    "nullable": "x = load(db, n)\n    x.note = body.note\n    x.mark = body.mark",
    "unknown": f"x = somewhere(n)\n    {LOOP}",
    "new": f"x = Row()\n    {LOOP}",
}
BODY = """
class Body(BaseModel):
    title: str | None = None
    size: Optional[str] = None
    note: str | None = None
    mark: str | None = None
"""
REFUSING = {
    "types": "\nclass Body(BaseModel):\n    title: str = ''\n    note: str | None = None\n",
    "validator": BODY
    + "    @field_validator('title', 'size')\n    @classmethod\n    def no(cls, v):\n"
    + "        if v is None: raise ValueError\n        return v\n",
    "another-library": BODY
    + "    @NotBlank(field_name='title')\n    @Size('size', max_length=5)\n    def checked(self):\n"
    + "        return self.title\n",
    "star": BODY
    + "    @field_validator('*')\n    def no(cls, v):\n"
    + "        assert v is not None\n        return v\n",
    "model": BODY
    + "    @model_validator(mode='after')\n    def no(self):\n"
    + "        if not self.title: raise ValueError\n        return self\n",
    "annotated": BODY.replace(
        "str | None = None", "Annotated[str | None, AfterValidator(no)] = 1"
    ).replace("Optional[str] = None", "str = ''"),
    "elsewhere": BODY
    + "    @field_validator('title', 'size')\n    def no(cls, v):\n        return refuse(v)\n",
    "required-elsewhere": "\nclass Body(BaseModel):\n    note: str | None = None\n",
}


def found(project, work, body=BODY, verb="patch"):
    route = f"@app.{verb}('/rows/{{n}}')\ndef change(n: int, body: Body, db: Session):\n    "
    project.write("shop.py", TOP + body + route + work + "\n")
    return [code for code, *_ in project.found("--no-cache", "--select", "RW103")]


@pytest.mark.parametrize("case", SPOILED)
def test_a_null_is_followed_to_what_is_never_null(project, case):
    assert found(project, SPOILED[case]) == ["RW103"]


@pytest.mark.parametrize("case", SAFE)
def test_what_is_checked_left_out_nullable_or_unknown_is_quiet(project, case):
    assert found(project, SAFE[case]) == []


@pytest.mark.parametrize("case", REFUSING)
def test_a_model_that_refuses_null_is_quiet(project, case):
    assert found(project, SPOILED["get"], REFUSING[case]) == []


def test_a_decorator_of_another_field_refuses_nothing(project):
    body = (
        BODY + "    @field_serializer('title', 'size')\n    def told(self, v):\n        return v\n"
    )
    noted = BODY + "    @NotBlank(field_name='note')\n    def checked(self):\n        return 1\n"

    assert found(project, SPOILED["get"], body) == ["RW103"]
    assert found(project, SPOILED["get"], noted) == ["RW103"]


def test_a_validator_that_lets_null_pass_refuses_nothing(project):
    passing = BODY + "    @field_validator('title')\n    def no(cls, v):\n        return v\n"

    assert found(project, SPOILED["get"], passing) == ["RW103"]


def test_a_put_that_requires_all_and_a_post_are_no_partial_updates(project):
    required = "\nclass Body(BaseModel):\n    title: str | None\n    note: str | None\n"

    assert found(project, SPOILED["get"], required, "put") == []
    assert found(project, SPOILED["get"], verb="post") == []
    assert found(project, SPOILED["get"], verb="put") == ["RW103"]


def test_the_mend_of_rw101_is_not_the_next_finding(project):
    """Its advice: only what was sent, and types that refuse null."""
    whole = SPOILED["get"].replace("exclude_unset=True", "")
    assert found(project, whole) == ["RW103"]

    assert found(project, SPOILED["get"], REFUSING["types"]) == []

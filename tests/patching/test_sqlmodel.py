"""SQLModel's classes are entities as Pydantic's are: plain ones, tables, and their sessions."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr
from sqlalchemy import inspect
from sqlmodel import Field, Relationship, SQLModel

from roadworthy import patching
from roadworthy.patching import Patch
from roadworthy.problems import ValidationFailed
from support.http import RawClient
from support.server import Server, uvicorn_command

APP = Path(__file__).parent / "sqlmodel_app.py"
MERGE = {"Content-Type": "application/merge-patch+json"}
OPERATE = {"Content-Type": "application/json-patch+json"}


class Plain(SQLModel):
    name: str = Field(min_length=2, index=True, sa_column_kwargs={"comment": "unhashable"})
    password: SecretStr = SecretStr("")


class Crew(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str = Field(min_length=2)
    members: list["Sailor"] = Relationship(back_populates="crew")


class Sailor(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(min_length=2)
    crew_id: int | None = Field(default=None, foreign_key="crew.id")
    crew: Crew | None = Relationship(back_populates="members")


class Holder(BaseModel):
    one: Plain
    named: dict[str, Plain] = {}


def change(current: Any, document: Any) -> Any:
    return patching.apply(patching.parse(Patch[type(current)], document), current)


def test_a_plain_class_is_patched_and_its_constraints_hold():
    assert change(Plain(name="Ana"), {"name": "Zoe"}).values == {"name": "Zoe"}
    with pytest.raises(ValidationFailed):
        change(Plain(name="Ana"), {"name": "Z"})


def test_inside_of_another_model_nothing_is_lost():
    now = Holder(one=Plain(name="Ana", password="s"), named={"a": Plain(name="Bo", password="t")})

    changed = change(now, {"one": {"name": "Zoe"}, "named": {"b": {"name": "Cy"}}})

    assert changed.values["one"] == {"name": "Zoe", "password": "s"}
    assert Holder.model_validate(dict(changed.values)) == changed.after


def test_a_table_is_patched_and_what_comes_out_is_in_no_session():
    crew = Crew(id=1, title="Reds")
    now = Sailor(id=1, name="Ana", crew=crew)

    changed = change(now, {"name": "Zoe"})

    assert changed.values == {"name": "Zoe"}
    assert isinstance(changed.after, Sailor)
    assert inspect(changed.after).transient
    assert crew.members == [now], "the copy is nobody's relation"
    with pytest.raises(ValidationFailed):
        change(now, {"name": "Z"})


@pytest.fixture(params=["sqlite", "postgresql"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RawClient]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/items.db"
    else:
        url = request.getfixturevalue("postgres_url")
    command = uvicorn_command(APP, factory=True)
    server = Server(command, log=tmp_path / "server.log", env={"DATABASE_URL": url})
    with RawClient(server.port) as client:
        yield client
    server.stop()


def test_a_service_shaped_like_the_template_is_patched(client):
    new = {"email": "a@example.com", "password": "long enough", "full_name": "Ana"}
    user = client.request("POST", "/users", json=new).json()
    item = {"title": "Cup", "description": "A cup", "options": {"size": {"w": 1}}}
    path = f"/users/{user['id']}/items"
    item = client.request("POST", path, json=item).json()

    def patch(body: Any, headers: dict[str, str] = MERGE, to: str = f"/items/{item['id']}") -> Any:
        reply = client.request("PATCH", to, body=json.dumps(body), headers=headers)
        details = reply.json().get("error", {}).get("details", [])
        return reply.status, [(d["pointer"], d["code"]) for d in details]

    assert patch({"options": {"size": {"h": 2}}}) == (200, [])
    assert patch([{"op": "add", "path": "/options/ink", "value": "red"}], OPERATE) == (200, [])
    assert patch({"description": None}) == (200, [])
    assert patch({"title": None}) == (422, [("/title", "string_type")])
    assert patch({"title": ""}) == (422, [("/title", "string_too_short")])
    assert patch({"owner_id": item["id"]}) == (422, [("/owner_id", "read_only")])
    to = f"/users/{user['id']}"
    assert patch({"full_name": "Zoe"}, to=to) == (200, [])
    assert patch({"hashed_password": "x"}, to=to) == (
        422,
        [("/hashed_password", "extra_forbidden")],
    )

    kept = client.request("GET", path).json()
    options = {"size": {"w": 1, "h": 2}, "ink": "red"}
    assert kept == [item | {"description": None, "options": options}]

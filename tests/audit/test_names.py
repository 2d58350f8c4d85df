"""What names lead to, through imports, aliases, types and calls; and to what they do not."""

import ast

import pytest

from roadworthy.audit.source import names


@pytest.fixture
def says(codebase):
    """Return what an expression at the end of `app.py`, or of a function there, stands for."""

    def ask(text: str, expression: str, function: str | None = None) -> str | None:
        module = codebase(text).module("app.py")
        scope = next((one for one in module.functions if one.qualname == function), module)
        ref = names.resolve(ast.parse(expression, mode="eval").body, scope)
        return None if ref is None else f"{ref.name}{'()' if ref.is_instance else ''}"

    return ask


@pytest.mark.parametrize(
    ("statement", "expression", "name"),
    [
        ("import requests", "requests.post", "requests.post"),
        ("import requests as r", "r.post", "requests.post"),
        ("from requests import post as send", "send", "requests.post"),
        ("import os.path", "os.path.join", "os.path.join"),
        ("from sqlmodel import Session", "Session", "sqlalchemy.orm.Session"),
        ("from httpx import AsyncClient\nclient = AsyncClient()", "client", "httpx.AsyncClient()"),
        ("import httpx\nclient = httpx.Client()", "client.get", "httpx.Client.get"),
        ("try:\n    import a\nexcept ImportError:\n    a = None", "a.b", "a.b"),
        (
            "from starlette.exceptions import HTTPException",
            "HTTPException",
            "fastapi.HTTPException",
        ),
    ],
)
def test_a_name_of_a_library_is_known_however_it_was_imported(says, statement, expression, name):
    assert says(statement, expression) == name


def test_a_name_is_followed_through_packages_that_pass_it_on(says):
    text = """
    # file: app.py
    from shop import open_session
    # file: shop/__init__.py
    from .database import *
    # file: shop/database.py
    from shop.sessions import open_session
    # file: shop/sessions.py
    def open_session(): ...
    """

    assert says(text, "open_session") == "shop/sessions.py:open_session"


def test_modules_that_import_a_name_from_each_other_lead_nowhere(says):
    text = """
    # file: app.py
    from a import thing
    # file: a.py
    from b import thing
    # file: b.py
    from a import thing
    """

    assert says(text, "thing") is None


def test_a_module_of_the_project_does_not_hide_a_library_of_that_name(says):
    text = """
    # file: app.py
    from shop.client import send
    # file: shop/__init__.py
    # file: shop/requests.py
    def post(): ...
    # file: shop/client.py
    import requests
    send = requests.post
    """

    assert says(text, "send") == "requests.post"


def test_the_source_folder_of_a_service_among_several_is_found(codebase):
    made = codebase("""
    # file: orders/src/shop/db.py
    here = "orders"
    # file: stock/src/shop/db.py
    here = "stock"
    # file: stock/src/shop/app.py
    from shop.db import here
    """)

    assert made.find("shop.db", "stock/src/shop/app.py").path == "stock/src/shop/db.py"


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        ("Session", "sqlalchemy.orm.Session()"),
        ('"Session"', "sqlalchemy.orm.Session()"),
        ("Session | None", "sqlalchemy.orm.Session()"),
        ("Optional[Session]", "sqlalchemy.orm.Session()"),
        ("Annotated[Session, Depends(get_session)]", "sqlalchemy.orm.Session()"),
        ("Sessions", "sqlalchemy.orm.Session()"),
        ("list[Session]", "builtins.list()"),
    ],
)
def test_a_parameter_is_what_its_annotation_says(says, annotation, name):
    text = f"""
from typing import Annotated, Optional
from fastapi import Depends
from sqlalchemy.orm import Session
def get_session(): ...
Sessions = Annotated[Session, Depends(get_session)]
def route(session: {annotation}): ...
"""

    assert says(text, "session", "route") == name


def test_a_parameter_without_a_type_is_what_its_dependency_gives(says):
    text = """
    from fastapi import Depends
    from sqlalchemy.orm import sessionmaker
    sessions = sessionmaker()
    def get_session():
        with sessions() as session:
            yield session
    def route(session=Depends(get_session)): ...
    """

    assert says(text, "session.commit", "route") == "sqlalchemy.orm.Session.commit"


def test_attributes_are_known_by_what_a_class_assigns_to_itself_or_inherits(says):
    text = """
    import httpx
    class Base:
        def __init__(self, client: httpx.Client):
            self.client = client
    class Shop(Base):
        pass
    shop = Shop(httpx.Client())
    """

    assert says(text, "shop.client.get") == "httpx.Client.get"


def test_a_call_is_what_the_function_returns(says):
    text = """
    import httpx
    def make():
        return httpx.Client()
    async def make_later() -> "httpx.AsyncClient": ...
    """

    assert says(text, "make().get") == "httpx.Client.get"
    assert says(text, "(await make_later()).get") == "httpx.AsyncClient.get"


def test_what_the_code_does_not_tell_is_nothing(says):
    assert says("def f(x): ...", "x.commit", "f") is None
    assert says("from shop import unknown", "unknown.there") == "shop.unknown.there"


def test_a_session_that_is_made_by_a_factory_of_another_class_is_of_that_class(says):
    text = """
    from sqlalchemy.orm import sessionmaker
    from sqlalchemy.ext.asyncio import AsyncSession
    sessions = sessionmaker(class_=AsyncSession)
    session = sessions()
    """

    assert says(text, "session") == "sqlalchemy.ext.asyncio.AsyncSession()"

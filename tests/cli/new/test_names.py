"""What a service may be called, and what follows from it."""

import re
import sys
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.cli.new import names
from roadworthy.cli.new.names import names_of
from roadworthy.cli.parsing import Mistake
from support.source import REPOSITORY


@pytest.mark.parametrize(
    ("name", "package", "title"),
    [
        ("shop", "shop", "Shop"),
        ("my-shop", "my_shop", "My Shop"),
        ("my_shop", "my_shop", "My Shop"),
        ("shop2", "shop2", "Shop2"),
        ("a", "a", "A"),
        ("match", "match", "Match"),
    ],
)
def test_package_and_title_follow_from_the_name(name, package, title):
    assert names_of(name) == (name, package, title)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Shop", "Type: roadworthy new shop"),
        ("My Shop", "Type: roadworthy new my-shop"),
        ("my--shop", "Type: roadworthy new my-shop"),
        ("-shop", "Type: roadworthy new shop"),
        ("2shops", "a letter, then"),
        ("", "a letter, then"),
        ("läden", "a letter, then"),
        ("../shop", "Type: roadworthy new shop"),
        ("/tmp/shop", "Type: roadworthy new tmp-shop"),
        (".", "a letter, then"),
        ("shop\n", "Type: roadworthy new shop"),
        ("a" * 31, "at most 29 letters"),
        ("class", "a word of Python. Type: roadworthy new class-service"),
        ("json", "a module of Python, which nobody could import any more"),
        ("test", "a name with a meaning of its own"),
        ("con", "a name with a meaning of its own"),
        ("fastapi", "a package that the service needs. Type: roadworthy new fastapi-service"),
        ("roadworthy", "a package that the service needs"),
    ],
)
def test_what_is_no_name_says_what_a_name_is_like(name, told):
    with pytest.raises(Mistake) as refused:
        names_of(name)

    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_name_hides_a_module_of_python():
    taken = {name for name in sys.stdlib_module_names if not name.startswith("_")}

    assert [name for name in taken if name.islower() and not is_refused(name)] == []


def test_no_name_hides_what_a_service_needs():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    of_services = ("sqlite", "postgresql", "database", "migrations", "jobs", "uploads", "console")
    bounds = [*project["dependencies"], *(one for name in of_services for one in extras[name])]
    needed = {re.split(r"[>\[]", one)[0] for one in bounds}

    assert {"fastapi", "sqlalchemy", "alembic", "jinja2"} <= needed
    assert [name for name in sorted(needed) if not is_refused(name)] == []


def is_refused(name):
    try:
        names_of(name)
    except Mistake:
        return True
    return False


@given(st.text(max_size=40))
def test_whatever_is_taken_can_be_imported_and_typed(text):
    try:
        made = names_of(text)
    except Mistake as refused:
        typed = str(refused).partition("Type: roadworthy new ")[2]
        assert not typed or names_of(typed)
        return
    assert made.package.isidentifier()
    assert made.name.isascii()
    assert len(made.name) <= names._LONGEST

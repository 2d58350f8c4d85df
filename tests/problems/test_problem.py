"""`Problem`: what a subclass declares, and what a mistake in it says."""

import pytest
from fastapi import FastAPI, HTTPException

from roadworthy import problems
from roadworthy.problems import Problem, ServiceUnavailable


class InsufficientStock(Problem):
    """The warehouse holds less than was asked for."""

    status = 409
    detail = "Only {available} of {item_id} are left."
    item_id: str
    available: int = 0


class OutOfStock(InsufficientStock):
    """Nothing is left."""

    restock: str


def test_the_name_gives_the_code_and_the_title():
    assert (InsufficientStock.code, InsufficientStock.title) == (
        "INSUFFICIENT_STOCK",
        "Insufficient stock",
    )


def test_a_code_can_be_given():
    class Taken(Problem):
        """It is taken."""

        code = "ITEM_EXISTS"

    assert Taken.code == "ITEM_EXISTS"


def test_acronyms_stay_together():
    class HTTPBrokeLink(Problem):
        """Acronyms."""

    assert HTTPBrokeLink.code == "HTTP_BROKE_LINK"


def test_members_fill_the_detail():
    assert InsufficientStock(item_id="a", available=3).detail == "Only 3 of a are left."


def test_a_member_may_have_a_default():
    assert InsufficientStock(item_id="a").available == 0


def test_a_subclass_adds_members():
    problem = OutOfStock(item_id="a", restock="Monday")

    assert problem.members() == {"item_id": "a", "available": 0, "restock": "Monday"}


def test_a_missing_or_unknown_member_is_named():
    with pytest.raises(TypeError, match=r"missing: \['item_id'\], unknown: \['itm'\]"):
        InsufficientStock(itm="a")


def test_a_member_cannot_take_the_name_of_a_part_of_the_problem():
    with pytest.raises(TypeError, match="status cannot be a member"):

        class Wrong(Problem):
            status: int


def test_headers_are_filled_with_members():
    assert ServiceUnavailable(retry_after=7).headers == {"Retry-After": "7"}


def test_braces_in_a_member_are_left_alone():
    assert InsufficientStock(item_id="{available}").detail == "Only 0 of {available} are left."


def test_a_problem_is_an_http_exception_so_it_works_without_install():
    problem = InsufficientStock(item_id="a")

    assert isinstance(problem, HTTPException)
    assert problem.status_code == 409


def test_installing_after_the_start_says_so():
    app = FastAPI()
    app.middleware_stack = app.build_middleware_stack()

    with pytest.raises(RuntimeError, match="already started"):
        problems.install(app)


@pytest.mark.parametrize(
    ("attributes", "place"),
    [
        ({"status": "409"}, "status is '409'"),
        ({"status": True}, "status is True"),
        ({"status": 200}, "status is 200"),
        ({"status": 503, "headers": {"Retry-After": 5}}, "headers\\['Retry-After'\\] is 5"),
        ({"status": 409, "detail": 7}, "detail is 7"),
    ],
)
def test_a_problem_that_no_raise_could_send_is_refused_where_it_is_declared(attributes, place):
    with pytest.raises(TypeError, match=place):
        type("Declared", (Problem,), attributes)

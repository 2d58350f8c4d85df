"""What type checkers make of a raise: a wrong one is an error before it runs.

Never run. Each ignore is an assertion: both checkers report it where it is not needed.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from typing import assert_type

from roadworthy.problems import NotFound, Problem, request_id


class InsufficientStock(Problem):
    """The warehouse holds less than was asked for."""

    status = 409
    title = "Not enough stock"
    detail = "Only {available} of {item_id} are left."
    item_id: str
    available: int = 0


problem = InsufficientStock(item_id="item-001", available=3)
assert_type(problem.item_id, str)
assert_type(problem.available, int)

InsufficientStock(item_id="item-001")  # a default may be left out
NotFound()

InsufficientStock()  # type: ignore[call-arg]
InsufficientStock(item_id=1)  # type: ignore[arg-type]
InsufficientStock(item_id="item-001", colour="red")  # type: ignore[call-arg]
InsufficientStock("item-001")  # type: ignore[call-arg]

assert_type(request_id(), str | None)

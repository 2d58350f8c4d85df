"""Idempotency and `Tx` together: one transaction for the effects and the answer."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support.transactions import wait_for_two_transactions


@pytest.fixture(params=["durable_shop.py", "sync_shop.py"], ids=["async", "sync"])
def app(request: pytest.FixtureRequest) -> Path:
    return Path(__file__).with_name(request.param)


@pytest.fixture
def shop(open_shop: Callable[..., Any], database_url: str, app: Path) -> Any:
    return open_shop(database_url, app=app)


def test_a_repeat_gets_the_same_answer_and_the_effects_happened_once(shop: Any) -> None:
    failed = shop.order("k1", outcome="crash")
    first = shop.order("k1")
    again = shop.order("k1")

    assert (failed.status, first.status, again.status) == (500, 201, 201)
    assert (again.body, again.headers["location"]) == (first.body, first.headers["location"])
    assert again.headers["idempotent-replayed"] == "true"
    assert shop.skus() == ["a"]


def test_of_concurrent_repeats_one_has_effects(shop: Any) -> None:
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: shop.order("k1"), range(20)))

    assert [a.status for a in answers] == [201] * 20
    assert sum("idempotent-replayed" in a.headers for a in answers) == 19
    assert shop.skus() == ["a"]


def test_a_repeat_is_409_while_the_first_runs_and_gets_its_answer_afterwards(shop: Any) -> None:
    with shop.send("k1", outcome="held") as held:
        shop.wait_until_held()
        early = shop.order("k1", outcome="held")
        shop.go()
        first = held.receive()
    late = shop.order("k1", outcome="held")

    assert (early.status, early.headers["x-error-code"]) == (409, "IDEMPOTENCY_IN_PROGRESS")
    assert (first.status, late.status, late.body) == (201, 201, first.body)
    assert shop.skus() == ["a"]


def test_a_repeat_whose_snapshot_is_too_old_runs_again_and_gets_the_answer(
    open_shop: Callable[..., Any], postgres_url: str, app: Path
) -> None:
    shop, other = (
        open_shop(postgres_url, app=app, SHOP_ISOLATION="REPEATABLE READ") for _ in range(2)
    )
    with shop.send("k1", outcome="held") as held:
        shop.wait_until_held()
        with other.send("k1", outcome="held") as waiting:
            wait_for_two_transactions(postgres_url)
            shop.go()
            first, repeat = held.receive(), waiting.receive()

    assert (first.status, repeat.status, repeat.body) == (201, 201, first.body)
    assert shop.skus() == ["a"]


def test_the_sweep_runs_in_a_unit_of_work(shop: Any) -> None:
    shop.order("k1")

    assert shop.ask("POST", "/orders/sweep").json() == 0

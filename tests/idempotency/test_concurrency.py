"""Many repeats at once, clients that leave, and processes that die: the effects happen once."""

import signal
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support.transactions import wait_for_two_transactions


def test_a_client_that_leaves_and_repeats_twice_makes_one_order_p11(shop: Any) -> None:
    with shop.send("k1", outcome="held"):
        shop.wait_until_held()
    with shop.send("k1", outcome="held"):
        pass
    with shop.send("k1", outcome="held") as third:
        shop.go()
        answer = third.receive()

    assert (answer.status, answer.headers["idempotent-replayed"]) == (201, "true")
    assert shop.skus() == ["a"]


def test_of_concurrent_repeats_in_two_processes_one_has_effects(
    open_shop: Callable[..., Any], database_url: str
) -> None:
    shops = [open_shop(database_url), open_shop(database_url)]

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda n: shops[n % 2].order("k1"), range(20)))

    assert Counter(a.status for a in answers) == {201: 20}
    assert Counter(a.headers.get("idempotent-replayed") for a in answers) == {None: 1, "true": 19}
    assert len({a.body for a in answers}) == 1
    assert shops[0].skus() == ["a"]


def test_a_repeat_waits_a_bounded_time_for_the_first(
    open_shop: Callable[..., Any], database_url: str
) -> None:
    shop = open_shop(database_url, SHOP_WAIT="0.3")
    with shop.send("k1", outcome="held") as held:
        shop.wait_until_held()
        repeat = shop.order("k1", outcome="held")
        shop.go()
        first = held.receive()

    assert (first.status, repeat.status) == (201, 409)
    assert repeat.json()["error"]["code"] == "IDEMPOTENCY_IN_PROGRESS"
    assert int(repeat.headers["retry-after"]) >= 1
    assert shop.skus() == ["a"]


def test_a_repeat_at_another_process_waits_a_bounded_time_too(
    open_shop: Callable[..., Any], postgres_url: str
) -> None:
    shop, other = open_shop(postgres_url), open_shop(postgres_url, SHOP_WAIT="0.3")
    with shop.send("k1", outcome="held") as held:
        shop.wait_until_held()
        repeat = other.order("k1", outcome="held")
        shop.go()
        first = held.receive()

    assert (first.status, repeat.status, repeat.headers["retry-after"]) == (201, 409, "1")


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ"])
def test_a_repeat_at_another_process_gets_the_answer_whatever_its_snapshot(
    open_shop: Callable[..., Any], postgres_url: str, isolation: str
) -> None:
    shop, other = (open_shop(postgres_url, SHOP_ISOLATION=isolation) for _ in range(2))
    with shop.send("k1", outcome="held") as held:
        shop.wait_until_held()
        with other.send("k1", outcome="held") as waiting:
            wait_for_two_transactions(postgres_url)
            shop.go()
            first, repeat = held.receive(), waiting.receive()

    assert (first.status, repeat.status) == (201, 201)
    assert repeat.headers["idempotent-replayed"] == "true"
    assert shop.skus() == ["a"]


def test_where_nothing_orders_writers_the_key_itself_does(
    open_shop: Callable[..., Any], sqlite_url: str
) -> None:
    shops = [open_shop(sqlite_url, SHOP_BEGIN="BEGIN") for _ in range(2)]

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: shops[n % 2].order("k1"), range(8)))

    assert len({a.headers["location"] for a in answers if a.status == 201}) == 1
    assert shops[0].skus() == ["a"]


@pytest.mark.parametrize("app", ["shop.py", "durable_shop.py"])
def test_a_repeat_needs_no_turn_at_the_writer_of_sqlite(
    open_shop: Callable[..., Any], sqlite_url: str, app: str
) -> None:
    file = Path(__file__).parent / app
    shop, other = (open_shop(sqlite_url, app=file, SHOP_WAIT="5") for _ in range(2))
    first = shop.order("k1")
    other.order("k2")

    with shop.send("k3", outcome="held") as held:
        shop.wait_until_held()
        with ThreadPoolExecutor(6) as threads:
            answers = list(threads.map(lambda n: (shop, other)[n % 2].order("k1"), range(6)))
        reused = other.order("k1", sku="b")
        shop.go()
        assert held.receive().status == 201

    assert {(a.status, a.headers["idempotent-replayed"]) for a in answers} == {(201, "true")}
    assert {(a.body, a.headers["location"]) for a in answers} == {
        (first.body, first.headers["location"])
    }
    assert (reused.status, reused.headers["x-error-code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert shop.skus() == ["a", "a", "a"]


def test_a_failure_of_the_first_frees_the_key_at_once(shop: Any) -> None:
    with ThreadPoolExecutor(4) as threads:
        outcomes = ["crash", "conflict", "made", "made"]
        answers = list(threads.map(lambda outcome: shop.order("k1", outcome=outcome), outcomes))

    assert min(a.status for a in answers) == 201
    assert shop.skus() == ["a"]


@pytest.mark.parametrize(
    ("outcome", "headers"), [("killed", {}), ("made", {"X-Kill": "before-commit"})]
)
def test_a_process_killed_before_the_commit_leaves_no_half(
    open_shop: Callable[..., Any], database_url: str, outcome: str, headers: dict[str, str]
) -> None:
    shop = open_shop(database_url)
    with pytest.raises(ConnectionError):
        shop.order("k1", headers, outcome=outcome)
    assert shop.server.wait() == -signal.SIGKILL

    revived = open_shop(database_url)

    assert (revived.skus(), revived.ask("GET", "/keys").json()) == ([], 0)
    assert revived.order("k1").status == 201
    assert revived.order("k1").headers["idempotent-replayed"] == "true"
    assert revived.skus() == ["a"]

"""Idempotency and `Tx` together: one transaction for the effects and the answer."""

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from support.polling import until
from support.transactions import wait_for_two_transactions

STACKS = {
    "async-sqlite": ("durable_shop.py", "sqlite"),
    "async-asyncpg": ("durable_shop.py", "postgresql+asyncpg"),
    "sync-sqlite": ("sync_shop.py", "sqlite"),
    "sync-asyncpg": ("sync_shop.py", "postgresql+asyncpg"),
    "sync-psycopg": ("sync_shop.py", "postgresql+psycopg"),
}


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def app(stack: str) -> Path:
    return Path(__file__).with_name(STACKS[stack][0])


@pytest.fixture
def url(stack: str, request: pytest.FixtureRequest) -> str:
    driver = STACKS[stack][1]
    if driver == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    return str(request.getfixturevalue("postgres_url")).replace("postgresql:", f"{driver}:")


@pytest.fixture
def shop(open_shop: Callable[..., Any], url: str, app: Path) -> Any:
    return open_shop(url, app=app)


def test_a_repeat_gets_the_same_answer_and_the_effects_happened_once(shop: Any) -> None:
    failed = shop.order("k1", outcome="crash")
    first = shop.order("k1")
    again = shop.order("k1")

    assert (failed.status, first.status, again.status) == (500, 201, 201)
    assert (again.body, again.headers["location"]) == (first.body, first.headers["location"])
    assert again.headers["idempotent-replayed"] == "true"
    assert shop.skus() == ["a"]


def test_of_concurrent_repeats_one_has_effects(shop: Any) -> None:
    def repeated(_: int) -> Any:  # 409 says that the first still runs, where a machine is busy
        return until(lambda: shop.order("k1"), lambda answer: answer.status != HTTPStatus.CONFLICT)

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(repeated, range(20)))

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


@pytest.mark.parametrize(
    "stack", [name for name in STACKS if not name.endswith("sqlite")], indirect=True
)
def test_a_repeat_whose_snapshot_is_too_old_runs_again_and_gets_the_answer(
    open_shop: Callable[..., Any], postgres_url: str, url: str, app: Path
) -> None:
    shop, other = (open_shop(url, app=app, SHOP_ISOLATION="REPEATABLE READ") for _ in range(2))
    with shop.send("k1", outcome="held") as held:
        shop.wait_until_held()
        with other.send("k1", outcome="held") as waiting:
            wait_for_two_transactions(postgres_url)
            shop.go()
            first, repeat = held.receive(), waiting.receive()

    assert (first.status, repeat.status, repeat.body) == (201, 201, first.body)
    assert shop.skus() == ["a"]


def test_another_body_under_the_key_is_refused(shop: Any) -> None:
    assert shop.order("k1").status == 201
    other = shop.order("k1", sku="b")

    assert (other.status, other.headers["x-error-code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert shop.skus() == ["a"]


def test_a_commit_that_fails_keeps_no_order_and_no_answer(shop: Any) -> None:
    """Who repeats the request may send another body, too: nothing is kept."""
    failed = [shop.order("k1", outcome="refused") for _ in range(2)]

    assert [each.status for each in failed] == [409, 409]
    assert all("idempotent-replayed" not in each.headers for each in failed)
    assert shop.skus() == []
    assert shop.order("k1", sku="b").status == 201
    assert shop.order("k1", sku="b").headers["idempotent-replayed"] == "true"
    assert shop.skus() == ["b"]


def test_a_route_that_commits_by_itself_under_a_key_is_refused(shop: Any, app: Path) -> None:
    """The answer could not be in the transaction any more: the error names the line."""
    assert shop.order("k1", outcome="commits").status == 500
    shop.server.wait_for_log(rf"tx\.commit\(\)` \({app.name}:\d+, in add_order\)")
    assert shop.skus() == []
    assert shop.order(None, outcome="commits").status == 201
    assert shop.skus() == ["a"]


def test_a_process_that_is_killed_before_the_commit_keeps_neither(
    open_shop: Callable[..., Any], url: str, app: Path
) -> None:
    shop = open_shop(url, app=app)
    with pytest.raises(ConnectionError):
        shop.order("k1", outcome="killed")
    assert shop.server.wait() == -signal.SIGKILL

    revived = open_shop(url, app=app)
    assert revived.skus() == []
    assert revived.order("k1").status == 201
    assert revived.order("k1").headers["idempotent-replayed"] == "true"


def test_an_answer_outlives_a_process_that_is_killed(
    open_shop: Callable[..., Any], url: str, app: Path
) -> None:
    shop = open_shop(url, app=app)
    first = shop.order("k1")
    shop.server.send_signal(signal.SIGKILL)
    shop.server.wait()

    again = open_shop(url, app=app).order("k1")
    assert (first.status, again.status, again.body) == (201, 201, first.body)
    assert again.headers["idempotent-replayed"] == "true"


def test_the_sweep_runs_in_a_unit_of_work(shop: Any) -> None:
    shop.order("k1")

    assert shop.ask("POST", "/orders/sweep").json() == 0

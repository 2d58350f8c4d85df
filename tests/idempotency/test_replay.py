"""A repeat gets the first answer, and changes nothing."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest


def test_a_repeat_gets_the_same_answer_and_the_effects_happened_once(shop: Any) -> None:
    first = shop.order("k1")
    again = shop.order("k1")

    assert (first.status, again.status) == (201, 201)
    assert again.body == first.body
    kept = {
        name: [v for n, v in first.header_lines if n == name]
        for name in ("content-type", "content-length", "location", "etag", "x-job-id")
    }
    for name, values in kept.items():
        assert [v for n, v in again.header_lines if n == name] == values
    assert kept["x-job-id"] == ["one", "two"]
    assert shop.skus() == ["a"]


def test_a_repeat_says_so_with_a_request_id_of_its_own(shop: Any) -> None:
    first = shop.order("k1")
    again = shop.order("k1")

    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert [n for n, _ in again.header_lines].count("x-request-id") == 1
    assert [n for n, _ in again.header_lines].count("date") == 1


def test_a_repeat_sets_no_cookie(shop: Any) -> None:
    assert "set-cookie" in shop.order("k1").headers
    assert "set-cookie" not in shop.order("k1").headers


def test_without_a_key_every_request_has_its_effects(shop: Any) -> None:
    shop.order(None)
    shop.order(None)

    assert shop.skus() == ["a", "a"]
    assert shop.ask("GET", "/keys").json() == 0


def test_other_keys_are_other_attempts(shop: Any) -> None:
    shop.order("k1")
    shop.order("k2")

    assert shop.skus() == ["a", "a"]


def test_a_patch_without_a_body_repeats(shop: Any) -> None:
    headers = {"Idempotency-Key": "k1"}
    first = shop.ask("PATCH", "/orders/1?sku=b", headers=headers)
    again = shop.ask("PATCH", "/orders/1?sku=b", headers=headers)

    assert (first.status, again.status, again.body) == (204, 204, b"")
    assert again.headers["idempotent-replayed"] == "true"
    assert shop.skus() == ["b"]


def test_on_a_put_the_key_means_nothing(shop: Any) -> None:
    headers = {"Idempotency-Key": "not a key"}
    answers = [shop.ask("PUT", "/orders/1", headers=headers) for _ in range(2)]

    assert [a.status for a in answers] == [200, 200]
    assert shop.skus() == ["put", "put"]


@pytest.mark.parametrize(
    ("outcome", "status"), [("conflict", 409), ("returned-conflict", 409), ("crash", 500)]
)
def test_a_try_that_failed_may_be_repeated_with_any_body(
    shop: Any, outcome: str, status: int
) -> None:
    failed = shop.order("k1", outcome=outcome)
    repeated = shop.order("k1", sku="b")

    assert (failed.status, repeated.status) == (status, 201)
    assert "idempotent-replayed" not in repeated.headers
    assert "b" in shop.skus()


def test_a_request_that_does_not_fit_may_be_repeated_with_any_body(shop: Any) -> None:
    failed = shop.order("k1", sku=None)
    repeated = shop.order("k1")

    assert (failed.status, repeated.status) == (422, 201)
    assert shop.skus() == ["a"]


def test_a_stream_is_an_error_that_undoes_the_effects(shop: Any) -> None:
    assert shop.ask("POST", "/stream", headers={"Idempotency-Key": "k"}).status == 500
    assert shop.skus() == []
    assert "StreamingResponse cannot be kept" in shop.server.log_text()
    assert shop.ask("POST", "/stream").body == b"ab"


def test_an_answer_over_the_limit_is_an_error_that_undoes_the_effects(shop: Any) -> None:
    assert shop.ask("POST", "/large", headers={"Idempotency-Key": "k"}).status == 500
    assert shop.skus() == []
    assert "max_bytes=1003" in shop.server.log_text()
    assert shop.ask("POST", "/large").status == 200


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_each_driver_of_postgresql_tells_the_first_from_its_repeats(
    open_shop: Callable[..., Any], postgres_url: str, driver: str
) -> None:
    url = postgres_url.replace("postgresql:", f"postgresql+{driver}:")
    shop, other = open_shop(url), open_shop(url)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: (shop, other)[n % 2].order("k1"), range(8)))
    reused = shop.order("k1", sku="b")
    changed = [shop.ask("PATCH", "/orders/1?sku=c", headers={"Idempotency-Key": "k2"})] * 2
    shop.set_clock(4e9)

    assert Counter(a.headers.get("idempotent-replayed") for a in answers) == {None: 1, "true": 7}
    assert {a.status for a in answers} == {201}
    assert (reused.status, {a.status for a in changed}) == (422, {204})
    assert shop.skus() == ["a", "c"]
    assert shop.ask("POST", "/sweep").json() == 2

"""What a key is, whom it belongs to, and how long it lives."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from roadworthy.idempotency import IdempotencyKeyInvalid
from roadworthy.idempotency.key import read_key
from support.http import RawClient


@pytest.fixture
def shop(open_shop: Callable[..., Any], sqlite_url: str) -> Any:
    return open_shop(sqlite_url)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("abc", "abc"),
        ("8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
        ("!#$%&'*+-.^_`|~09azAZ", "!#$%&'*+-.^_`|~09azAZ"),
        ('"abc"', "abc"),
        ('"two words, one key"', "two words, one key"),
        (r'"a \"quoted\" \\ key"', r'a "quoted" \ key'),
        (" abc\t", "abc"),
        ("a" * 255, "a" * 255),
        (f'"{"a" * 255}"', "a" * 255),
    ],
)
def test_a_key_is_a_token_or_a_quoted_string(header: str, value: str) -> None:
    assert read_key(header).value == value


@pytest.mark.parametrize(
    "header",
    [
        "",
        '""',
        "two words",
        "a,b",
        "a, b",
        '"a',
        'a"',
        '"a"b',
        '"a";p=1',
        '"\\a"',
        '"\t"',
        "é",
        "a" * 256,
        f'"{"a" * 256}"',
        "a\n",
        '"é"',
        ":YWJj:",
    ],
)
def test_anything_else_is_no_key(header: str) -> None:
    with pytest.raises(IdempotencyKeyInvalid):
        read_key(header)


@pytest.mark.parametrize("header", ["", "two words", "a" * 256, '"open'])
def test_a_request_with_an_invalid_key_is_400_and_changes_nothing(shop: Any, header: str) -> None:
    answer = shop.order(header)

    assert answer.status == 400
    assert answer.json()["error"]["code"] == "IDEMPOTENCY_KEY_INVALID"
    assert shop.skus() == []


def test_two_keys_are_no_key(shop: Any) -> None:
    with RawClient(shop.server.port) as client:
        headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
        answer = client.request("POST", "/orders", headers=headers, json={"sku": "a"})

    assert answer.status == 400


def test_quotes_do_not_make_another_key(shop: Any) -> None:
    shop.order("abc")

    assert shop.order('"abc"').headers["idempotent-replayed"] == "true"


def test_a_route_can_want_a_key(shop: Any) -> None:
    refused = shop.ask("POST", "/strict")
    done = shop.ask("POST", "/strict", headers={"Idempotency-Key": '"a b"'})

    assert (refused.status, refused.headers["x-error-code"]) == (400, "IDEMPOTENCY_KEY_REQUIRED")
    assert (done.status, done.json()) == (200, "a b")


# Other requests


@pytest.mark.parametrize(
    ("target", "body"),
    [("/orders", {"sku": "b"}), ("/orders?x=1", {"sku": "a"}), ("/orders", {"sku": "a", "x": 1})],
)
def test_the_key_of_another_request_is_422(shop: Any, target: str, body: dict[str, Any]) -> None:
    headers = {"Idempotency-Key": "k1"}
    shop.ask("POST", "/orders", headers=headers, json={"sku": "a"})
    answer = shop.ask("POST", target, headers=headers, json=body)

    assert (answer.status, answer.headers["x-error-code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert shop.skus() == ["a"]


def test_json_that_says_the_same_in_another_spelling_is_the_same_request(shop: Any) -> None:
    headers = {"Idempotency-Key": "k1", "Content-Type": "application/json"}
    shop.ask("POST", "/orders", headers=headers, body='{"sku": "a", "outcome": "made"}')
    headers["Content-Type"] = "application/json; charset=utf-8"
    again = shop.ask("POST", "/orders", headers=headers, body='{"outcome":"made","sku":"\\u0061"}')

    assert again.headers["idempotent-replayed"] == "true"


def test_of_a_form_the_fields_and_files_count_and_the_boundary_does_not(shop: Any) -> None:
    first = _upload(shop, "one", content="data")
    again = _upload(shop, "two", content="data")
    other = _upload(shop, "one", content="atad")

    assert (first.status, first.json()) == (200, {"size": 4})
    assert again.headers["idempotent-replayed"] == "true"
    assert (other.status, shop.skus()) == (422, ["f"])


def _upload(shop: Any, boundary: str, *, content: str) -> Any:
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="name"\r\n\r\nf\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f.txt"\r\n\r\n'
        f"{content}\r\n--{boundary}--\r\n"
    )
    headers = {"Idempotency-Key": "k", "Content-Type": f"multipart/form-data; boundary={boundary}"}
    return shop.ask("POST", "/files", headers=headers, body=body)


def test_a_key_means_nothing_on_another_route(shop: Any) -> None:
    shop.order("k1")
    answer = shop.ask("PATCH", "/orders/1?sku=b", headers={"Idempotency-Key": "k1"})

    assert (answer.status, shop.skus()) == (204, ["a", "b"])


# Other callers


def test_two_callers_with_one_key_do_not_see_each_others_answers(shop: Any) -> None:
    ann, bob = {"Authorization": "Bearer ann"}, {"Authorization": "Bearer bob"}
    of_ann, of_bob = shop.order("k1", ann), shop.order("k1", bob)
    of_nobody = shop.order("k1")

    assert len({a.body for a in (of_ann, of_bob, of_nobody)}) == 3
    assert shop.order("k1", ann).body == of_ann.body
    assert shop.order("k1", bob).body == of_bob.body
    assert shop.skus() == ["a", "a", "a"]


def test_the_application_can_say_who_the_caller_is(shop: Any) -> None:
    for name in ("x", "y", "x"):
        shop.ask("POST", "/shops", headers={"Idempotency-Key": "k", "X-Shop": name})

    assert shop.skus() == ["x", "y"]


# Time


def test_a_key_is_free_again_once_it_expired(shop: Any) -> None:
    shop.set_clock(1_000_000)
    shop.order("k1")
    shop.set_clock(1_000_000 + 24 * 3600 - 1)
    within = shop.order("k1")
    shop.set_clock(1_000_000 + 24 * 3600)
    after = shop.order("k1", sku="b")

    assert within.headers["idempotent-replayed"] == "true"
    assert (after.status, shop.skus()) == (201, ["a", "b"])
    assert shop.order("k1", sku="b").body == after.body
    assert shop.ask("GET", "/keys").json() == 1


def test_a_sweep_removes_what_expired_and_nothing_else(
    open_shop: Callable[..., Any], database_url: str
) -> None:
    shop = open_shop(database_url)
    for second, key in enumerate(("k1", "k2", "k3")):
        shop.set_clock(1_000_000 + second)
        shop.order(key)
    shop.set_clock(1_000_001 + 24 * 3600)

    assert shop.ask("POST", "/sweep?limit=1").json() == 1
    assert shop.ask("POST", "/sweep").json() == 1
    assert shop.ask("POST", "/sweep").json() == 0
    assert shop.order("k3").headers["idempotent-replayed"] == "true"


def test_the_row_names_neither_key_nor_caller(shop: Any, sqlite_url: str) -> None:
    shop.order("the-key", {"Authorization": "Bearer the-token"})
    stored = Path(sqlite_url.removeprefix("sqlite:///")).read_bytes()

    assert b"POST /orders" in stored
    assert b"the-key" not in stored
    assert b"the-token" not in stored

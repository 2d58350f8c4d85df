"""CONTRACT: Orders."""

import csv
import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pypdf import PdfReader

Add = Callable[..., dict[str, Any]]
AtOnce = Callable[..., list[Any]]
Eventually = Callable[..., Any]
StartDepot = Callable[..., Any]


def _order(client: httpx.Client, *lines: tuple[str, int], **headers: str) -> httpx.Response:
    body = {
        "customer_email": "ann@example.com",
        "lines": [{"item_id": item_id, "quantity": quantity} for item_id, quantity in lines],
    }
    return client.post("/orders", json=body, headers=headers)


def _left(client: httpx.Client, item: dict[str, Any]) -> int:
    return client.get(f"/inventory/{item['id']}").json()["quantity"]


def _lasting(order: dict[str, Any]) -> dict[str, Any]:
    """What no job changes."""
    return {k: v for k, v in order.items() if k not in {"confirmation", "invoice"}}


def _sold(client: httpx.Client, *items: dict[str, Any]) -> list[dict[str, str]]:
    ledger = csv.DictReader(client.get("/reports/financial.csv").text.splitlines())
    ids = {item["id"] for item in items}
    return [row for row in ledger if row["item_id"] in ids]


def test_an_order_takes_the_stock_and_is_written_down(client: httpx.Client, add_item: Add) -> None:
    a, b = add_item(price="9.99"), add_item(price="0.01")

    answer = _order(client, (a["id"], 3), (b["id"], 1))

    assert answer.status_code == 201
    order = answer.json()
    assert answer.headers["location"] == f"/orders/{order['id']}"
    assert _lasting(client.get(answer.headers["location"]).json()) == _lasting(order)
    assert order["lines"] == [
        {"item_id": a["id"], "quantity": 3, "unit_price": "9.99", "amount": "29.97"},
        {"item_id": b["id"], "quantity": 1, "unit_price": "0.01", "amount": "0.01"},
    ]
    assert (order["total"], order["customer_email"]) == ("29.98", "ann@example.com")
    assert (order["confirmation"], order["invoice"]) == ("pending", "pending")
    assert order["created_at"].endswith("Z")
    assert (_left(client, a), _left(client, b)) == (7, 9)
    assert [row["amount"] for row in _sold(client, a, b)] == ["29.97", "0.01"]


def test_an_order_changes_the_etag_of_its_items(client: httpx.Client, add_item: Add) -> None:
    item = add_item()
    path = f"/inventory/{item['id']}"
    etag = client.get(path).headers["etag"]

    _order(client, (item["id"], 1))

    assert client.patch(path, json={"name": "x"}, headers={"If-Match": etag}).status_code == 412


def test_repeated_lines_of_one_item_count_together(client: httpx.Client, add_item: Add) -> None:
    item = add_item(quantity=10, min_order=4, max_order=9)

    below = _order(client, (item["id"], 1), (item["id"], 2))
    within = _order(client, (item["id"], 2), (item["id"], 2))
    above = _order(client, (item["id"], 5), (item["id"], 5))
    short = _order(client, (item["id"], 4), (item["id"], 3))

    assert [a.status_code for a in (below, within, above, short)] == [422, 201, 422, 409]
    assert [line["quantity"] for line in within.json()["lines"]] == [2, 2]
    assert short.json()["error"]["details"] == [
        {"item_id": item["id"], "requested": 7, "available": 6}
    ]
    assert _left(client, item) == 6


def test_an_order_that_cannot_be_met_takes_nothing(client: httpx.Client, add_item: Add) -> None:
    enough, short, empty = add_item(), add_item(quantity=3), add_item(quantity=0)

    answer = _order(client, (enough["id"], 5), (short["id"], 4), (empty["id"], 1))

    assert answer.status_code == 409
    error = answer.json()["error"]
    assert error["code"] == answer.headers["x-error-code"] == "INSUFFICIENT_STOCK"
    assert sorted(error["details"], key=lambda d: -d["requested"]) == [
        {"item_id": short["id"], "requested": 4, "available": 3},
        {"item_id": empty["id"], "requested": 1, "available": 0},
    ]
    assert [_left(client, i) for i in (enough, short, empty)] == [10, 3, 0]
    assert _sold(client, enough, short, empty) == []


def test_an_unknown_item_is_not_found_and_nothing_is_taken(
    client: httpx.Client, add_item: Add
) -> None:
    item = add_item()
    unknown = f"no-{uuid4().hex}"

    answer = _order(client, (item["id"], 1), (unknown, 1))

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ITEM_NOT_FOUND")
    assert unknown not in answer.text
    assert _left(client, item) == 10


@pytest.mark.parametrize(
    ("item", "quantity", "pointer"),
    [
        ({"is_active": False}, 1, "/lines/1/item_id"),
        ({"min_order": 3}, 2, "/lines/1/quantity"),
        ({"max_order": 3}, 4, "/lines/1/quantity"),
    ],
)
def test_what_an_item_is_not_sold_as_is_refused_and_named(
    client: httpx.Client, add_item: Add, item: dict[str, Any], quantity: int, pointer: str
) -> None:
    fine, wrong = add_item(), add_item(**item)

    answer = _order(client, (fine["id"], 1), (wrong["id"], quantity))

    assert answer.status_code == 422
    assert [d["pointer"] for d in answer.json()["error"]["details"]] == [pointer]
    assert _left(client, fine) == 10


def test_an_order_worth_more_than_money_can_hold_is_refused(
    client: httpx.Client, add_item: Add
) -> None:
    item = add_item(price="9999999999.99", quantity=2**31 - 1)

    answer = _order(client, (item["id"], 2**31 - 1))

    assert answer.status_code == 422
    assert answer.json()["error"]["details"][0]["pointer"] == "/lines"
    assert _order(client, (item["id"], 1)).json()["total"] == "9999999999.99"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"customer_email": "nobody"}, "/customer_email"),
        ({"customer_email": "a@b"}, "/customer_email"),
        ({"customer_email": "a@example.com\nBcc: x@example.com"}, "/customer_email"),
        ({"customer_email": "a" * 300 + "@example.com"}, "/customer_email"),
        ({"customer_email": "a@" + "b." * 100_000 + "com"}, "/customer_email"),
        ({"customer_email": None}, "/customer_email"),
        ({"lines": []}, "/lines"),
        ({"lines": None}, "/lines"),
        ({"lines": {}}, "/lines"),
        ({"lines": [{"item_id": "a", "quantity": 1}] * 101}, "/lines"),
        ({"lines": [{"item_id": "a", "quantity": 0}]}, "/lines/0/quantity"),
        ({"lines": [{"item_id": "a", "quantity": True}]}, "/lines/0/quantity"),
        ({"lines": [{"item_id": "a", "quantity": "1"}]}, "/lines/0/quantity"),
        ({"lines": [{"item_id": "a", "quantity": 2**63}]}, "/lines/0/quantity"),
        ({"lines": [{"item_id": "a\x00", "quantity": 1}]}, "/lines/0/item_id"),
        ({"lines": [{"item_id": "", "quantity": 1}]}, "/lines/0/item_id"),
        ({"lines": [{"item_id": "a"}]}, "/lines/0/quantity"),
        ({"lines": [{"item_id": "a", "quantity": 1, "price": 0}]}, "/lines/0/price"),
        ({"status": "paid"}, "/status"),
    ],
)
def test_an_order_that_does_not_fit_is_refused_and_named(
    client: httpx.Client, change: dict[str, Any], pointer: str
) -> None:
    order = {
        "customer_email": "ann@example.com",
        "lines": [{"item_id": "a", "quantity": 1}],
        **change,
    }

    answer = client.post("/orders", json=order)

    assert answer.status_code == 422, answer.text
    assert [d["pointer"] for d in answer.json()["error"]["details"]] == [pointer]


def test_an_order_may_have_100_lines(client: httpx.Client, add_item: Add) -> None:
    item = add_item(quantity=100)

    assert _order(client, *[(item["id"], 1)] * 100).status_code == 201


def test_the_invoice_is_a_pdf_that_is_kept(
    client: httpx.Client, add_item: Add, eventually: Eventually
) -> None:
    item = add_item(price="9.99")
    order = _order(client, (item["id"], 3)).json()
    path = f"/orders/{order['id']}/invoice"

    answer = eventually(lambda: client.get(path), lambda a: a.status_code == 200)

    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"] == (
        f'attachment; filename="invoice-{order["id"]}.pdf"'
    )
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "private" in answer.headers["cache-control"]
    (page,) = PdfReader(BytesIO(answer.content)).pages
    text = page.extract_text().replace("\n", "")
    expected = [order["id"], item["id"], "9.99", "29.97", "ann@example.com"]
    assert [part for part in expected if part not in text] == []
    head = client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(answer.content))
    known = client.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")


def test_an_invoice_that_is_not_made_yet_is_not_ready(
    start_briefly: StartDepot, tmp_path: Path
) -> None:
    depot = start_briefly(DEPOT_DATA_DIR=str(tmp_path), DEPOT_JOBS__RUN_IN_SERVER="false")
    with depot.client() as client:
        client.post("/inventory", json={"id": "a", "name": "A", "quantity": 9, "price": 1})
        order = _order(client, ("a", 1)).json()

        answer = client.get(f"/orders/{order['id']}/invoice")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_READY")
    assert int(answer.headers["retry-after"]) > 0


def test_an_invoice_that_cannot_be_made_is_not_waited_for(
    start_briefly: StartDepot, tmp_path: Path
) -> None:
    depot = start_briefly(DEPOT_DATA_DIR=str(tmp_path), DEPOT_JOBS__RUN_IN_SERVER="false")
    with depot.client() as client:
        client.post("/inventory", json={"id": "a", "name": "A", "quantity": 9, "price": 1})
        order = _order(client, ("a", 1)).json()
        with closing(sqlite3.connect(tmp_path / "depot.db")) as connection, connection:
            connection.execute("UPDATE orders SET invoice = 'failed'")

        answer = client.get(f"/orders/{order['id']}/invoice")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "INVOICE_FAILED")
    assert "retry-after" not in answer.headers


NO_ORDER = "0f1d8a52-5d64-4a5e-9c1b-2f6e1c1f3a77"


@pytest.mark.parametrize("path", ["nope", "%00", NO_ORDER, "nope/invoice", f"{NO_ORDER}/invoice"])
def test_an_order_that_is_not_there_is_not_found(client: httpx.Client, path: str) -> None:
    answer = client.get(f"/orders/{path}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ORDER_NOT_FOUND")


def test_an_order_outlives_its_items(client: httpx.Client, add_item: Add) -> None:
    item = add_item()
    order = _order(client, (item["id"], 2)).json()

    deleted = client.delete(f"/inventory/{item['id']}")

    assert deleted.status_code == 204
    assert _lasting(client.get(f"/orders/{order['id']}").json()) == _lasting(order)
    assert len(_sold(client, item)) == 1


def test_stock_is_never_sold_twice(client: httpx.Client, add_item: Add, at_once: AtOnce) -> None:
    item = add_item(quantity=10)

    answers = at_once(lambda _: _order(client, (item["id"], 1)), 50)

    assert sorted(a.status_code for a in answers) == [201] * 10 + [409] * 40
    assert _left(client, item) == 0
    assert len(_sold(client, item)) == 10


def test_orders_of_the_same_items_in_any_order_do_not_lock_each_other_out(
    client: httpx.Client, add_item: Add, at_once: AtOnce
) -> None:
    a, b = add_item(quantity=100), add_item(quantity=100)
    both = [(a["id"], 1), (b["id"], 2)]

    answers = at_once(lambda n: _order(client, *(both if n % 2 else both[::-1])), 30)

    assert {x.status_code for x in answers} == {201}
    assert (_left(client, a), _left(client, b)) == (70, 40)


def test_orders_and_patches_do_not_lose_each_other(
    client: httpx.Client, add_item: Add, at_once: AtOnce
) -> None:
    item = add_item(quantity=100)

    def act(number: int) -> httpx.Response:
        if number % 2:
            return _order(client, (item["id"], 1))
        return client.patch(f"/inventory/{item['id']}", json={"description": str(number)})

    answers = at_once(act, 30)

    assert {a.status_code for a in answers} == {200, 201}
    assert _left(client, item) == 85


def test_what_is_sold_is_what_left_the_stock(
    client: httpx.Client, add_item: Add, at_once: AtOnce
) -> None:
    items = [add_item(quantity=7, price="0.10") for _ in range(3)]

    at_once(lambda n: _order(client, *[(i["id"], 1 + n % 3) for i in items[n % 2 :]]), 24)

    for item in items:
        sold = _sold(client, item)
        assert 7 - sum(int(row["quantity"]) for row in sold) == _left(client, item) >= 0
        assert all(Decimal(row["amount"]) == Decimal("0.10") * int(row["quantity"]) for row in sold)


def test_a_repeat_with_the_same_key_gets_the_first_answer(
    client: httpx.Client, add_item: Add
) -> None:
    """P11."""
    item = add_item()
    key = {"Idempotency-Key": str(uuid4())}

    first = _order(client, (item["id"], 1), **key)
    again = _order(client, (item["id"], 1), **key)

    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert _left(client, item) == 9


def test_repeats_at_the_same_moment_happen_once(
    client: httpx.Client, add_item: Add, at_once: AtOnce
) -> None:
    """P11."""
    item = add_item()
    key = {"Idempotency-Key": str(uuid4())}

    answers = at_once(lambda _: _order(client, (item["id"], 1), **key), 10)

    assert {a.status_code for a in answers} <= {201, 409}
    assert {a.json()["error"]["code"] for a in answers if a.status_code == 409} <= {
        "IDEMPOTENCY_IN_PROGRESS"
    }
    assert len({a.json()["id"] for a in answers if a.status_code == 201}) == 1
    assert _left(client, item) == 9


def test_a_key_of_another_request_is_refused(client: httpx.Client, add_item: Add) -> None:
    item = add_item()
    key = {"Idempotency-Key": str(uuid4())}
    _order(client, (item["id"], 1), **key)

    answer = _order(client, (item["id"], 2), **key)

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert _left(client, item) == 9


def test_a_key_belongs_to_its_caller(client: httpx.Client, add_item: Add) -> None:
    item = add_item()
    key = str(uuid4())
    callers: list[dict[str, str]] = [
        {},
        {"Authorization": "Bearer a"},
        {"Authorization": "Bearer b"},
    ]

    orders = [
        _order(client, (item["id"], 1), **{"Idempotency-Key": key}, **caller) for caller in callers
    ]

    assert len({order.json()["id"] for order in orders}) == 3


def test_a_try_that_failed_may_be_repeated_with_any_body(
    client: httpx.Client, add_item: Add
) -> None:
    item = add_item(quantity=1)
    key = {"Idempotency-Key": str(uuid4())}

    failed = _order(client, (item["id"], 2), **key)
    answer = _order(client, (item["id"], 1), **key)

    assert (failed.status_code, answer.status_code) == (409, 201)
    assert "idempotent-replayed" not in answer.headers


@pytest.mark.parametrize(
    "key", ["", "a b", "x" * 256, '"open', "\u00e9".encode().decode("latin-1")]
)
def test_a_key_that_is_none_is_refused(client: httpx.Client, add_item: Add, key: str) -> None:
    item = add_item()
    headers = [(b"Idempotency-Key", key.encode("latin-1"))]

    answer = client.post(
        "/orders",
        json={
            "customer_email": "ann@example.com",
            "lines": [{"item_id": item["id"], "quantity": 1}],
        },
        headers=headers,
    )

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "IDEMPOTENCY_KEY_INVALID")
    assert _left(client, item) == 10

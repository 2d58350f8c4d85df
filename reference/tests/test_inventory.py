"""CONTRACT: Inventory, without PATCH."""

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

Add = Callable[..., dict[str, Any]]
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def test_an_item_that_is_added_is_answered_with_its_place_and_version(client: httpx.Client) -> None:
    item_id = f"item-{uuid4().hex}"

    answer = client.post(
        "/inventory", json={"id": item_id, "name": "Hammer", "quantity": 3, "price": 9.5}
    )

    assert answer.status_code == 201
    assert answer.headers["location"] == f"/inventory/{item_id}"
    assert re.fullmatch(r'"[^"]+"', answer.headers["etag"])
    item = answer.json()
    assert RFC3339.fullmatch(item.pop("created_at"))
    assert RFC3339.fullmatch(item.pop("updated_at"))
    assert item == {
        "id": item_id,
        "name": "Hammer",
        "description": None,
        "quantity": 3,
        "price": "9.50",
        "is_active": True,
        "min_order": 1,
        "max_order": None,
        "attributes": {},
    }


def test_an_item_without_an_id_gets_one(client: httpx.Client, add_item: Add) -> None:
    item = add_item()

    assert client.get(f"/inventory/{item['id']}").json() == item


def test_an_id_that_is_taken_is_a_conflict(client: httpx.Client, add_item: Add) -> None:
    item = add_item()

    answer = client.post(
        "/inventory", json={"id": item["id"], "name": "Other", "quantity": 1, "price": 1}
    )

    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "ITEM_EXISTS"
    assert client.get(f"/inventory/{item['id']}").json() == item


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("9.99", "9.99"),
        (9.99, "9.99"),
        (10, "10.00"),
        ("10", "10.00"),
        ("0.1", "0.10"),
        (0.01, "0.01"),
        (0.1 + 0.2, "0.30"),
        ("9999999999.99", "9999999999.99"),
        (9999999999.99, "9999999999.99"),
    ],
)
def test_a_price_is_exact_to_the_cent(
    client: httpx.Client, add_item: Add, sent: object, kept: str
) -> None:
    item = add_item(price=sent)

    assert item["price"] == kept
    assert client.get(f"/inventory/{item['id']}").json()["price"] == kept


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("price", 0),
        ("price", "0.00"),
        ("price", -1),
        ("price", "-1"),
        ("price", "9.999"),
        ("price", 9.999),
        ("price", "10000000000"),
        ("price", 1e300),
        ("price", True),
        ("price", None),
        ("price", [1]),
        ("price", "NaN"),
        ("price", "Infinity"),
        ("price", " 5 "),
        ("price", "1_000"),
        ("price", "\u0665"),
        ("price", "9.99\n"),
        ("price", ""),
        ("quantity", -1),
        ("quantity", True),
        ("quantity", "5"),
        ("quantity", 1.5),
        ("quantity", 2**31),
        ("quantity", 2**63),
        ("quantity", 10**40),
        ("quantity", None),
        ("name", ""),
        ("name", "x" * 201),
        ("name", None),
        ("name", 5),
        ("name", "a\x00b"),
        ("description", 5),
        ("is_active", 1),
        ("is_active", "true"),
        ("is_active", None),
        ("min_order", 0),
        ("min_order", None),
        ("max_order", 0),
        ("attributes", None),
        ("attributes", []),
        ("attributes", {"a": "\x00"}),
        ("attributes", {"\x00": 1}),
        ("attributes", {"a": [10**30]}),
        ("id", ""),
        ("id", "-a"),
        ("id", "a b"),
        ("id", "a/b"),
        ("id", "a\n"),
        ("id", "x" * 65),
        ("id", "\u00e9"),
        ("id", 5),
        ("id", None),
        ("created_at", "2026-01-01T00:00:00Z"),
        ("version", 1),
        ("colour", "red"),
    ],
)
def test_what_does_not_fit_is_refused_and_named(
    client: httpx.Client, field: str, value: object
) -> None:
    item = {"name": "Hammer", "quantity": 1, "price": "9.99", field: value}

    answer = client.post("/inventory", json=item)

    assert answer.status_code == 422, answer.text
    error = answer.json()["error"]
    assert error["code"] == "VALIDATION_FAILED"
    assert {d["in"] for d in error["details"]} == {"body"}
    pointers = {d["pointer"] for d in error["details"]}
    assert all(pointer.startswith(f"/{field}") for pointer in pointers)


@pytest.mark.parametrize(
    "literal", ["NaN", "Infinity", "-Infinity", "1e400", '"\\ud800"', '"\\u0000"', "1" * 5000]
)
@pytest.mark.parametrize("field", ["price", "quantity", "attributes", "name"])
def test_a_value_that_no_row_can_hold_is_refused(
    client: httpx.Client, field: str, literal: str
) -> None:
    """P5: a poisoned row."""
    fields = {"name": '"Hammer"', "quantity": "1", "price": "1", "attributes": "{}"}
    fields[field] = f'{{"a": {literal}}}' if field == "attributes" else literal
    body = "{" + ", ".join(f'"{name}": {value}' for name, value in fields.items()) + "}"

    answer = client.post("/inventory", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code in {400, 422}, answer.text
    assert answer.json()["error"]["code"] in {"MALFORMED_BODY", "VALIDATION_FAILED"}


def test_a_whole_number_is_an_integer_however_it_is_written(add_item: Add) -> None:
    item = add_item(quantity=5.0)

    assert repr(item["quantity"]) == "5"


def test_attributes_come_back_as_they_were_sent(client: httpx.Client, add_item: Add) -> None:
    attributes = {
        "int": 2**53,
        "float": 1e300,
        "small": -0.5,
        "text": "\u00fc\U0001f600 \"'; DROP TABLE items; --",
        "": {"deep": [1, [2, {"x": None}]]},
        "true": True,
    }

    item = add_item(attributes=attributes)

    assert client.get(f"/inventory/{item['id']}").json()["attributes"] == attributes


def test_an_id_may_be_64_characters_and_any_of_its_alphabet(add_item: Add) -> None:
    item_id = f"0.-_Z{uuid4().hex}".ljust(64, "z")

    assert add_item(id=item_id)["id"] == item_id


def test_max_order_may_not_be_below_min_order(client: httpx.Client) -> None:
    item = {"name": "x", "quantity": 1, "price": 1, "min_order": 5, "max_order": 4}

    answer = client.post("/inventory", json=item)

    assert answer.status_code == 422
    assert answer.json()["error"]["details"][0]["pointer"] == "/max_order"


@pytest.mark.parametrize("item_id", ["nope", "no%00pe", "%F0%9F%98%80", "a%20b", "x" * 3000, "%FF"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_item_that_is_not_there_is_not_found(
    client: httpx.Client, method: str, item_id: str
) -> None:
    answer = client.request(method, f"/inventory/{item_id}")

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "ITEM_NOT_FOUND"


def test_a_reader_who_has_the_item_gets_304_and_no_body(
    client: httpx.Client, add_item: Add
) -> None:
    path = f"/inventory/{add_item()['id']}"
    first = client.get(path)

    answer = client.get(path, headers={"If-None-Match": first.headers["etag"]})

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == first.headers["etag"]
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_head_answers_like_get_without_a_body(client: httpx.Client, add_item: Add) -> None:
    path = f"/inventory/{add_item()['id']}"

    answer = client.head(path)

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["etag"] == client.get(path).headers["etag"]


def test_a_deleted_item_is_gone(client: httpx.Client, add_item: Add) -> None:
    path = f"/inventory/{add_item()['id']}"

    answer = client.delete(path)

    assert (answer.status_code, answer.content) == (204, b"")
    assert client.get(path).status_code == 404
    assert client.delete(path).status_code == 404


def test_delete_honours_if_match(client: httpx.Client, add_item: Add) -> None:
    path = f"/inventory/{add_item()['id']}"
    etag = client.get(path).headers["etag"]

    stale = client.delete(path, headers={"If-Match": '"1"'})
    current = client.delete(path, headers={"If-Match": etag})

    assert stale.status_code == 412
    assert stale.json()["error"]["code"] == "PRECONDITION_FAILED"
    assert current.status_code == 204


def test_an_item_made_again_never_has_an_etag_of_the_old_one(
    client: httpx.Client, add_item: Add
) -> None:
    item = add_item()
    path = f"/inventory/{item['id']}"
    old = client.get(path).headers["etag"]
    client.delete(path)
    add_item(id=item["id"])

    answer = client.patch(path, json={"name": "mine"}, headers={"If-Match": old})

    assert answer.status_code == 412


def _walk(client: httpx.Client, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    for _ in range(1000):
        page = client.get("/inventory", params={**params, **cursor}).json()
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}
    raise AssertionError("the list has no end")


def test_every_item_is_listed_once(client: httpx.Client, add_item: Add) -> None:
    ids = {add_item()["id"] for _ in range(7)}

    listed = [item["id"] for item in _walk(client, limit=2)]

    assert len(listed) == len(set(listed))
    assert ids <= set(listed)


def test_items_added_and_deleted_meanwhile_do_not_disturb_the_pages(
    client: httpx.Client, add_item: Add
) -> None:
    ids = {add_item()["id"] for _ in range(6)}
    first = client.get("/inventory", params={"limit": 2}).json()
    add_item()
    client.delete(f"/inventory/{first['items'][-1]['id']}")
    add_item()

    rest: list[str] = []
    cursor = first["next_cursor"]
    while cursor is not None:
        page = client.get("/inventory", params={"limit": 2, "cursor": cursor}).json()
        rest += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]

    seen = [item["id"] for item in first["items"]] + rest
    assert len(seen) == len(set(seen))
    assert ids <= set(seen)


def test_a_walk_ends_even_where_items_are_added_faster_than_it_goes(
    client: httpx.Client, add_item: Add
) -> None:
    add_item()
    cursor: dict[str, str] = {}
    for _ in range(1000):
        add_item()
        page = client.get("/inventory", params={"limit": 1, **cursor}).json()
        if page["next_cursor"] is None:
            return
        cursor = {"cursor": page["next_cursor"]}
    raise AssertionError("the list has no end")


def test_the_list_can_be_narrowed_to_active_items(client: httpx.Client, add_item: Add) -> None:
    active, idle = add_item()["id"], add_item(is_active=False)["id"]

    assert active in {item["id"] for item in _walk(client, is_active="true", limit=200)}
    assert idle in {item["id"] for item in _walk(client, is_active="false", limit=200)}
    assert all(item["is_active"] for item in _walk(client, is_active="true", limit=200))


@pytest.mark.sampled
@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=",
        "limit=99999999999999999999",
        "cursor=x",
        "cursor=",
        "cursor=MTIzOml0ZW0=",
        "cursor=%00",
        "cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk6YQ",
        "is_active=maybe",
    ],
)
def test_a_query_that_does_not_fit_is_refused_and_named(client: httpx.Client, query: str) -> None:
    answer = client.get(f"/inventory?{query}")

    assert answer.status_code == 422, answer.text
    detail = answer.json()["error"]["details"][0]
    assert (detail["in"], detail["pointer"]) == ("query", f"/{query.partition('=')[0]}")

"""CONTRACT: PATCH /inventory/{id}."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

Add = Callable[..., dict[str, Any]]
AtOnce = Callable[..., list[Any]]

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"


def _patch(
    client: httpx.Client,
    item: dict[str, Any],
    body: object,
    media_type: str = MERGE,
    **headers: str,
) -> httpx.Response:
    return client.patch(
        f"/inventory/{item['id']}",
        content=body if isinstance(body, bytes) else json.dumps(body),
        headers={"Content-Type": media_type, **headers},
    )


def _stored(client: httpx.Client, item: dict[str, Any]) -> dict[str, Any]:
    return client.get(f"/inventory/{item['id']}").json()


@pytest.mark.parametrize("media_type", [MERGE, "application/json"])
def test_an_omitted_field_keeps_its_value(
    client: httpx.Client, add_item: Add, media_type: str
) -> None:
    item = add_item(description="old", max_order=5, attributes={"a": 1})

    answer = _patch(client, item, {"price": "12.5"}, media_type)

    assert answer.status_code == 200
    assert answer.json() == {**item, "price": "12.50", "updated_at": answer.json()["updated_at"]}
    assert _stored(client, item) == answer.json()
    assert answer.headers["etag"] == client.get(f"/inventory/{item['id']}").headers["etag"]


def test_null_clears_what_can_be_null(client: httpx.Client, add_item: Add) -> None:
    item = add_item(description="old", max_order=5)

    answer = _patch(client, item, {"description": None, "max_order": None})

    assert answer.status_code == 200
    assert (answer.json()["description"], answer.json()["max_order"]) == (None, None)


@pytest.mark.parametrize(
    "field", ["name", "quantity", "price", "is_active", "min_order", "attributes"]
)
def test_null_on_what_cannot_be_null_is_refused(
    client: httpx.Client, add_item: Add, field: str
) -> None:
    """P1."""
    item = add_item()

    answer = _patch(client, item, {field: None, "description": "new"})

    assert answer.status_code == 422
    assert answer.json()["error"]["details"][0]["pointer"] == f"/{field}"
    assert _stored(client, item) == item


def test_attributes_merge_deeply(client: httpx.Client, add_item: Add) -> None:
    """P2."""
    item = add_item(attributes={"a": {"b": 1, "c": 2}, "list": [1, 2], "gone": 1})

    answer = _patch(
        client, item, {"attributes": {"a": {"c": 3, "d": {"e": None}}, "list": [3], "gone": None}}
    )

    assert answer.json()["attributes"] == {"a": {"b": 1, "c": 3, "d": {}}, "list": [3]}


@pytest.mark.parametrize(
    "change",
    [
        {"id": "other"},
        {"created_at": "2026-01-01T00:00:00Z"},
        {"updated_at": None},
        {"version": 7},
        {"colour": "red", "name": "new"},
        {"quantity": -1},
        {"quantity": True},
        {"quantity": "5"},
        {"quantity": 2**31},
        {"price": "9.999"},
        {"price": 0},
        {"price": " 5 "},
        {"is_active": "off"},
        {"name": "x" * 201},
        {"min_order": 9},
        {"max_order": 2, "min_order": 3},
        {"attributes": []},
        {"attributes": {"a": "\x00"}},
    ],
)
@pytest.mark.parametrize("media_type", [MERGE, JSON_PATCH])
def test_what_does_not_fit_is_refused_and_changes_nothing(
    client: httpx.Client, add_item: Add, change: dict[str, Any], media_type: str
) -> None:
    """P3, P6, P7."""
    item = add_item(max_order=5)
    body: Any = change
    if media_type == JSON_PATCH:
        body = [{"op": "add", "path": f"/{k}", "value": v} for k, v in change.items()]

    answer = _patch(client, item, body, media_type)

    assert answer.status_code == 422, answer.text
    assert _stored(client, item) == item


@pytest.mark.parametrize("literal", ["1e400", "NaN", "-Infinity", '"\\ud800"', '"\\u0000"'])
@pytest.mark.parametrize("field", ["price", "quantity", "attributes", "description"])
def test_no_patch_makes_an_item_unreadable(
    client: httpx.Client, add_item: Add, field: str, literal: str
) -> None:
    """P5."""
    item = add_item()
    value = f'{{"a": [{literal}]}}' if field == "attributes" else literal

    answer = _patch(client, item, f'{{"{field}": {value}}}'.encode())

    assert answer.status_code in {400, 422}
    assert _stored(client, item) == item


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{}", 400, "EMPTY_PATCH"),
        (b"", 400, "MALFORMED_BODY"),
        (b"{", 400, "MALFORMED_BODY"),
        (b'{"name": "a", "name": "b"}', 400, "MALFORMED_BODY"),
        (b'"\xff"', 400, "MALFORMED_BODY"),
        (b'{"attributes": ' + b'{"a": ' * 200 + b"1" + b"}" * 200 + b"}", 400, "MALFORMED_BODY"),
        (b"null", 422, "VALIDATION_FAILED"),
        (b"[]", 422, "VALIDATION_FAILED"),
        (b"5", 422, "VALIDATION_FAILED"),
    ],
)
def test_what_is_no_patch_is_refused(
    client: httpx.Client, add_item: Add, body: bytes, status: int, code: str
) -> None:
    item = add_item()

    answer = _patch(client, item, body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert _stored(client, item) == item


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "multipart/form-data"])
def test_another_media_type_is_refused(
    client: httpx.Client, add_item: Add, media_type: str
) -> None:
    answer = _patch(client, add_item(), {"name": "new"}, media_type)

    assert answer.status_code == 415
    assert answer.json()["error"]["code"] == "UNSUPPORTED_MEDIA_TYPE"
    assert MERGE in answer.headers["accept-patch"]


def test_patching_what_is_not_there_is_not_found(client: httpx.Client) -> None:
    """P10."""
    answer = _patch(client, {"id": "nope"}, {"name": "new"}, **{"If-Match": '"1"'})

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ITEM_NOT_FOUND")


def test_a_json_patch_is_applied(client: httpx.Client, add_item: Add) -> None:
    item = add_item(attributes={"tags": ["a"]})

    answer = _patch(
        client,
        item,
        [
            {"op": "test", "path": "/name", "value": "Hammer"},
            {"op": "replace", "path": "/price", "value": 5},
            {"op": "add", "path": "/attributes/tags/-", "value": "b"},
        ],
        JSON_PATCH,
    )

    assert answer.status_code == 200, answer.text
    assert answer.json()["price"] == "5.00"
    assert answer.json()["attributes"] == {"tags": ["a", "b"]}


@pytest.mark.parametrize(
    ("operation", "status", "code"),
    [
        ({"op": "test", "path": "/name", "value": "Saw"}, 409, "PATCH_TEST_FAILED"),
        ({"op": "replace", "path": "/attributes/x/y", "value": 1}, 422, "VALIDATION_FAILED"),
        ({"op": "remove", "path": "/nope"}, 422, "VALIDATION_FAILED"),
        ({"op": "remove", "path": "/name"}, 422, "VALIDATION_FAILED"),
        ({"op": "replace", "path": "/id", "value": "x"}, 422, "VALIDATION_FAILED"),
        ({"op": "dance", "path": "/name"}, 422, "VALIDATION_FAILED"),
        ({"path": "/name"}, 422, "VALIDATION_FAILED"),
        ({"op": "add", "path": "name", "value": 1}, 422, "VALIDATION_FAILED"),
        ({"op": "add", "path": "", "value": {}}, 422, "VALIDATION_FAILED"),
        ({"op": "add", "path": "/attributes/~2", "value": 1}, 422, "VALIDATION_FAILED"),
        ({"op": "move", "from": "/attributes", "path": "/attributes/a"}, 422, "VALIDATION_FAILED"),
        ({"op": "copy", "from": "/created_at", "path": "/quantity"}, 422, "VALIDATION_FAILED"),
    ],
)
def test_a_json_patch_that_cannot_be_applied_changes_nothing(
    client: httpx.Client, add_item: Add, operation: dict[str, Any], status: int, code: str
) -> None:
    item = add_item()
    first = {"op": "replace", "path": "/description", "value": "new"}

    answer = _patch(client, item, [first, operation], JSON_PATCH)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    assert _stored(client, item) == item


def test_a_json_patch_of_copies_does_not_exhaust_the_server(
    client: httpx.Client, add_item: Add
) -> None:
    item = add_item(attributes={"a": "x" * 1000})
    copies = [{"op": "copy", "from": "/attributes", "path": f"/attributes/c{n}"} for n in range(60)]

    answer = _patch(client, item, copies, JSON_PATCH)

    assert answer.status_code in {413, 422}, answer.text[:200]
    assert _stored(client, item) == item


def test_a_json_patch_cannot_nest_deeper_than_a_body_may(
    client: httpx.Client, add_item: Add
) -> None:
    item = add_item(attributes={})
    path = "/attributes"
    deep: Any = {}
    for _ in range(90):
        deep = {"a": deep}
    for _ in range(4):
        path += "/a"
        answer = _patch(client, item, [{"op": "add", "path": path, "value": deep}], JSON_PATCH)
        assert answer.status_code in {200, 422}, answer.text[:200]
        path += "/a" * 90

    assert client.get(f"/inventory/{item['id']}").status_code == 200
    assert client.get("/inventory").status_code == 200


def test_attributes_cannot_grow_without_end(client: httpx.Client, add_item: Add) -> None:
    item = add_item()
    answers = [
        _patch(client, item, {"attributes": {f"k{n}": "x" * 400_000}}).status_code for n in range(4)
    ]

    assert answers == [200, 200, 422, 422]


def test_a_patch_that_changes_nothing_keeps_the_etag(client: httpx.Client, add_item: Add) -> None:
    item = add_item()
    etag = client.get(f"/inventory/{item['id']}").headers["etag"]

    answer = _patch(client, item, {"name": item["name"]})

    assert (answer.status_code, answer.headers["etag"], answer.json()) == (200, etag, item)


@pytest.mark.parametrize("stale", ['"1"', 'W/"1"', "nonsense", '"99999999999999999999999"'])
def test_a_stale_if_match_changes_nothing(client: httpx.Client, add_item: Add, stale: str) -> None:
    item = add_item()

    answer = _patch(client, item, {"name": "new"}, **{"If-Match": stale})

    assert (answer.status_code, answer.json()["error"]["code"]) == (412, "PRECONDITION_FAILED")
    assert _stored(client, item) == item


def test_if_match_takes_a_list_and_a_star(client: httpx.Client, add_item: Add) -> None:
    item = add_item()
    etag = client.get(f"/inventory/{item['id']}").headers["etag"]

    listed = _patch(client, item, {"name": "a"}, **{"If-Match": f'"x", {etag}'})
    star = _patch(client, item, {"name": "b"}, **{"If-Match": "*"})

    assert (listed.status_code, star.status_code) == (200, 200)


def test_of_writers_with_one_etag_exactly_one_wins(
    client: httpx.Client, add_item: Add, at_once: AtOnce
) -> None:
    """P4."""
    item = add_item()
    etag = client.get(f"/inventory/{item['id']}").headers["etag"]

    answers = at_once(
        lambda n: _patch(client, item, {"name": f"writer {n}"}, **{"If-Match": etag}), 12
    )

    assert sorted(a.status_code for a in answers) == [200] + [412] * 11
    winner = next(a for a in answers if a.status_code == 200)
    assert _stored(client, item) == winner.json()


def test_patches_of_different_fields_all_survive(
    client: httpx.Client, add_item: Add, at_once: AtOnce
) -> None:
    """P4."""
    item = add_item()
    changes: list[dict[str, Any]] = [
        {"name": "new"},
        {"description": "new"},
        {"price": "1.23"},
        {"is_active": False},
        *({"attributes": {"deep": {f"k{n}": n}}} for n in range(8)),
    ]

    answers = at_once(lambda n: _patch(client, item, changes[n]), len(changes))

    assert {a.status_code for a in answers} == {200}
    assert len({a.headers["etag"] for a in answers}) == len(changes)
    stored = _stored(client, item)
    assert (stored["name"], stored["description"], stored["price"]) == ("new", "new", "1.23")
    assert stored["is_active"] is False
    assert stored["attributes"] == {"deep": {f"k{n}": n for n in range(8)}}

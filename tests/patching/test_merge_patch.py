"""What a merge patch (RFC 7396) does to a resource, over a real server."""

import pytest


def codes(reply):
    return [(error["pointer"], error["code"]) for error in reply.json()["error"]["details"]]


@pytest.mark.parametrize("media_type", ["application/merge-patch+json", "application/json"])
def test_an_omitted_field_keeps_its_value(warehouse, media_type):
    before = warehouse.item()

    reply = warehouse.merge({"quantity": 7}, media_type=media_type)

    assert reply.status == 200
    assert reply.json() == before | {"quantity": 7, "total": "139.30", "display": "Chair"}


@pytest.mark.parametrize("field", ["quantity", "price", "is_active", "tags", "attributes", "name"])
def test_p1_null_on_a_field_that_cannot_be_null_is_422_and_changes_nothing(warehouse, field):
    before = warehouse.row()

    reply = warehouse.merge({"description": "new", field: None})

    assert reply.status == 422
    assert [pointer for pointer, _ in codes(reply)] == [f"/{field}"]
    assert warehouse.row() == before


@pytest.mark.parametrize("field", ["description", "max_order", "address"])
def test_p1_null_clears_a_field_that_can_be_null(warehouse, field):
    reply = warehouse.merge({field: None})

    assert reply.json()[field] is None
    assert warehouse.item()[field] is None


def test_p2_a_nested_model_keeps_what_is_not_named(warehouse):
    reply = warehouse.merge({"address": {"city": "Nice"}})

    assert reply.json()["address"] == {"street": "Rue A", "city": "Nice", "zip": "69001"}
    assert warehouse.row()["address"] == {"street": "Rue A", "city": "Nice", "zip": "69001"}


def test_p2_a_free_form_object_merges_deeply(warehouse):
    reply = warehouse.merge({"attributes": {"size": {"w": None, "d": 50}, "tone": "warm"}})

    merged = {"size": {"h": 90, "d": 50}, "color": "red", "tone": "warm"}
    assert reply.json()["attributes"] == merged
    assert warehouse.row()["attributes"] == merged


def test_p2_null_inside_a_nested_model_clears_only_what_can_be_null(warehouse):
    assert warehouse.merge({"address": {"zip": None}}).json()["address"]["zip"] is None
    assert codes(warehouse.merge({"address": {"street": None}})) == [
        ("/address/street", "string_type")
    ]


def test_a_nested_model_that_was_not_there_must_come_whole(warehouse):
    warehouse.merge({"address": None})

    assert codes(warehouse.merge({"address": {"city": "Nice"}})) == [("/address/street", "missing")]
    assert warehouse.merge({"address": {"street": "Rue B"}}).json()["address"] == {
        "street": "Rue B",
        "city": "Paris",
        "zip": None,
    }


def test_a_list_is_replaced_as_a_whole(warehouse):
    assert warehouse.merge({"tags": ["c"]}).json()["tags"] == ["c"]


def test_p3_the_merged_whole_must_be_valid_before_anything_is_written(warehouse):
    before = warehouse.row()

    reply = warehouse.merge({"min_order": 99})

    assert reply.status == 422
    assert codes(reply) == [("", "value_error")]
    assert warehouse.row() == before
    assert warehouse.merge({"min_order": 99, "max_order": 100}).status == 200


@pytest.mark.parametrize(
    ("patch", "code"),
    [
        ({"quantity": -1}, "greater_than_equal"),
        ({"quantity": 2**31}, "less_than_equal"),
        ({"name": ""}, "string_too_short"),
        ({"name": "x" * 201}, "string_too_long"),
        ({"price": 0}, "greater_than"),
        ({"price": 9.999}, "decimal_max_places"),
        ({"price": "9.999"}, "decimal_max_places"),
    ],
)
def test_p6_the_entitys_constraints_hold_in_a_patch(warehouse, patch, code):
    reply = warehouse.merge(patch)

    assert reply.status == 422
    assert codes(reply) == [(f"/{next(iter(patch))}", code)]


@pytest.mark.parametrize(
    "patch",
    [
        {"quantity": True},
        {"quantity": "5"},
        {"quantity": " 5 "},
        {"quantity": 5.5},
        {"is_active": "off"},
        {"is_active": 0},
        {"name": 5},
        {"weight": "4.5"},
        {"weight": True},
        {"price": True},
        {"price": " 5 "},
        {"price": "1_0"},
        {"price": "\u0665"},
        {"price": "1e2"},
        {"tags": "a"},
        {"tags": [1]},
        {"address": {"city": 1}},
    ],
    ids=str,
)
def test_p7_nothing_is_coerced(warehouse, patch):
    before = warehouse.row()

    assert warehouse.merge(patch).status == 422
    assert warehouse.row() == before


@pytest.mark.parametrize(("sent", "shown"), [(9.99, "9.99"), ("9.99", "9.99"), (5, "5")])
def test_a_decimal_is_a_number_or_its_digits(warehouse, sent, shown):
    assert warehouse.merge({"price": sent}).json()["price"] == shown


@pytest.mark.parametrize(
    ("patch", "pointer"),
    [
        ({"nmae": "x", "quantity": 5}, "/nmae"),
        ({"address": {"town": "x"}}, "/address/town"),
        ({"no name": "x", "quantity": 5}, ""),
        ({"address": {"<town>": "x"}}, "/address"),
    ],
)
def test_p7_an_unknown_field_is_refused_beside_good_ones(warehouse, patch, pointer):
    before = warehouse.row()

    reply = warehouse.merge(patch)

    assert reply.status == 422
    assert codes(reply) == [(pointer, "extra_forbidden")]
    assert warehouse.row() == before


@pytest.mark.parametrize(
    "patch", [{"id": "x"}, {"created_at": "2026-01-01T00:00:00Z"}, {"total": 1}], ids=str
)
def test_a_read_only_field_is_refused_by_name(warehouse, patch):
    reply = warehouse.merge(patch)

    assert reply.status == 422
    assert codes(reply) == [(f"/{next(iter(patch))}", "read_only")]


def test_p8_only_what_was_sent_is_written(warehouse):
    """The entity's validator assigns `display`, and `total` is computed: neither was sent."""
    reply = warehouse.merge({"nickname": "Bob"})

    assert reply.json()["display"] == "Bob"
    assert warehouse.row()["nickname"] == "Bob"
    assert warehouse.row()["display"] == "kept as it was written"
    assert "total" not in warehouse.row()


def test_p8_defaults_never_reach_the_row(warehouse):
    reply = warehouse.send({"name": "Stool"}, "application/json", path="/lenient/item-001")

    assert reply.json() == {"name": "Stool"}


def test_p10_a_resource_that_does_not_exist_is_404(warehouse):
    reply = warehouse.send({"quantity": 1}, "application/json", path="/items/nope")

    assert (reply.status, reply.headers["x-error-code"]) == (404, "NOT_FOUND")

"""What a JSON Patch (RFC 6902) does to a resource, over a real server."""

import pytest


def op(name, path, **more):
    return {"op": name, "path": path, **more}


def error(reply):
    return reply.status, reply.headers["x-error-code"]


def pointers(reply):
    return [detail["pointer"] for detail in reply.json()["error"]["details"]]


def test_operations_apply_in_order_to_what_get_shows(warehouse):
    reply = warehouse.operate(
        op("test", "/price", value="19.90"),
        op("replace", "/quantity", value=8),
        op("add", "/tags/-", value="c"),
        op("remove", "/tags/0"),
        op("add", "/attributes/size/d", value=None),
        op("move", "/attributes/tone", **{"from": "/attributes/color"}),
        op("copy", "/nickname", **{"from": "/name"}),
        op("replace", "/address/city", value="Nice"),
    )

    assert reply.status == 200
    row = warehouse.row()
    assert row["quantity"] == 8
    assert row["tags"] == ["b", "c"]
    assert row["attributes"] == {"size": {"w": 40, "h": 90, "d": None}, "tone": "red"}
    assert row["nickname"] == "Chair"
    assert row["address"] == {"street": "Rue A", "city": "Nice", "zip": "69001"}


def test_only_what_changed_is_written(warehouse):
    reply = warehouse.operate(op("replace", "/name", value="Chair"), op("remove", "/description"))

    assert reply.status == 200
    assert warehouse.row()["description"] is None
    assert warehouse.row()["display"] == "kept as it was written"


def test_true_is_not_one(warehouse):
    warehouse.merge({"attributes": {"n": 1}})

    assert warehouse.operate(op("replace", "/attributes/n", value=True)).status == 200
    assert warehouse.row()["attributes"]["n"] is True


@pytest.mark.parametrize(
    "test",
    [
        op("test", "/name", value="Table"),
        op("test", "/quantity", value="3"),
        op("test", "/is_active", value=1),
        op("test", "/nowhere", value=1),
    ],
    ids=str,
)
def test_a_test_that_fails_is_409_and_changes_nothing(warehouse, test):
    before = warehouse.row()

    reply = warehouse.operate(op("replace", "/quantity", value=8), test)

    assert error(reply) == (409, "PATCH_TEST_FAILED")
    assert warehouse.row() == before


@pytest.mark.parametrize(
    "operation",
    [
        op("replace", "/nowhere", value=1),
        op("remove", "/attributes/nowhere"),
        op("add", "/a/b/c", value=1),
        op("add", "/tags/9", value="x"),
        op("add", "/tags/01", value="x"),
        op("add", "/name/0", value="x"),
        op("move", "/attributes/size/x", **{"from": "/attributes/size"}),
        op("remove", ""),
        op("replace", "", value=[1]),
        op("replace", "", value={}),
        op("add", "/nmae", value="x"),
        op("remove", "/name"),
        op("remove", "/quantity"),
        op("replace", "/quantity", value="8"),
        op("replace", "/quantity", value=True),
        op("replace", "/min_order", value=99),
        op("replace", "/price", value=" 5 "),
        op("replace", "/attributes", value=None),
        op("replace", "/address/street", value=None),
        op("remove", "/address/street"),
    ],
    ids=str,
)
def test_an_operation_that_cannot_be_is_422_and_changes_nothing(warehouse, operation):
    before = warehouse.row()

    reply = warehouse.operate(op("replace", "/description", value="new"), operation)

    assert error(reply) == (422, "VALIDATION_FAILED")
    assert warehouse.row() == before


@pytest.mark.parametrize(
    ("operation", "pointer"),
    [
        (op("replace", "/id", value="x"), "/id"),
        (op("remove", "/created_at"), "/created_at"),
        (op("replace", "/total", value="1"), "/total"),
    ],
)
def test_a_read_only_field_is_refused(warehouse, operation, pointer):
    reply = warehouse.operate(operation)

    assert error(reply) == (422, "VALIDATION_FAILED")
    assert pointers(reply) == [pointer]


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({"op": "add"}, ""),
        (b'"x"', ""),
        ([1], "/0"),
        ([op("test", "/name", value="Chair"), {"path": "/name"}], "/1/op"),
        ([op("spam", "/name")], "/0/op"),
        ([{"op": ["add"], "path": "/name"}], "/0/op"),
        ([{"op": "remove"}], "/0/path"),
        ([op("remove", "name")], "/0/path"),
        ([op("remove", "/~2")], "/0/path"),
        ([op("remove", 5)], "/0/path"),
        ([op("add", "/name")], "/0/value"),
        ([op("copy", "/name")], "/0/from"),
        ([op("move", "/name", **{"from": 5})], "/0/from"),
        ([op("remove", "/x" * 200)], "/0/path"),
    ],
    ids=str,
)
def test_a_malformed_document_is_422_and_says_where(warehouse, document, pointer):
    reply = warehouse.send(document, "application/json-patch+json")

    assert error(reply) == (422, "VALIDATION_FAILED")
    assert pointers(reply) == [pointer]


def test_the_number_of_operations_is_bounded(warehouse):
    reply = warehouse.operate(*[op("test", "/name", value="Chair")] * 101)

    assert error(reply) == (422, "VALIDATION_FAILED")


def test_copies_cannot_double_a_document_without_end(warehouse):
    """Fifty doublings of one kilobyte would be an exabyte."""
    double = op("copy", "/attributes/b", **{"from": "/attributes"})
    reply = warehouse.operate(op("add", "/attributes/a", value="x" * 1000), *[double] * 50)

    assert error(reply) == (422, "VALIDATION_FAILED")
    assert warehouse.item()["attributes"].keys() == {"size", "color"}


def test_operations_cannot_nest_deeper_than_a_body_may(warehouse):
    ninety = {}
    for _ in range(90):
        ninety = {"a": ninety}
    deeper = op("copy", "/attributes" + "/a" * 90, **{"from": "/attributes"})

    reply = warehouse.operate(op("replace", "/attributes", value=ninety), deeper)

    assert error(reply) == (422, "VALIDATION_FAILED")


def test_added_values_cannot_nest_deeper_than_a_body_may(warehouse):
    ninety = {}
    for _ in range(90):
        ninety = {"a": ninety}

    reply = warehouse.operate(
        op("replace", "/attributes", value=ninety),
        op("add", "/attributes" + "/a" * 90, value=ninety),
    )

    assert error(reply) == (422, "VALIDATION_FAILED")


def test_nothing_of_the_document_is_repeated_in_an_error(warehouse):
    reply = warehouse.operate(op("replace", "/secret-place", value="secret-value"))

    assert reply.status == 422
    assert "secret" not in reply.text

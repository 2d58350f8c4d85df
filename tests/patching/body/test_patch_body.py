"""What is refused before the resource is looked at, over a real server."""

import pytest

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
ACCEPTED = f"{MERGE_PATCH}, {JSON_PATCH}, application/json"


def error(reply):
    return reply.status, reply.headers["x-error-code"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"quantity": NaN} x',
        b'{"quantity": 1, "quantity": 2}',
        b'{"attributes": {"a": 1, "a": 2}}',
        b'{"name": "\xff"}',
        '{"quantity": 1}'.encode("utf-16"),
        b'{"attributes": ' + b'{"a":' * 200 + b"1" + b"}" * 201,
        b'{"attributes": ' + b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:30]),
)
def test_p7_what_is_not_one_json_document_is_400(warehouse, body):
    before = warehouse.row()

    reply = warehouse.send(body[:60_000], MERGE_PATCH)

    assert error(reply) == (400, "MALFORMED_BODY")
    assert warehouse.row() == before


@pytest.mark.parametrize(
    "body",
    [
        '{"weight": 1e400}',
        '{"weight": Infinity}',
        '{"weight": NaN}',
        '{"price": 1e400}',
        '{"price": "Infinity"}',
        '{"price": "NaN"}',
        '{"price": "1e999999"}',
        '{"name": "a\\u0000b"}',
        '{"name": "\\ud800"}',
        '{"quantity": 99999999999999999999}',
        '{"attributes": {"deep": [1, {"x": 1e999}]}}',
        '{"attributes": {"deep": {"x": "\\ud800"}}}',
        '{"attributes": {"deep": {"\\u0000": 1}}}',
        '{"attributes": {"big": 9223372036854775808}}',
        '{"attributes": {"big": ' + "9" * 5000 + "}}",
    ],
    ids=lambda body: body[:45],
)
def test_p5_what_no_row_can_carry_is_422_and_the_row_stays_readable(warehouse, body):
    before = warehouse.item()

    reply = warehouse.send(body, MERGE_PATCH)

    assert error(reply) == (422, "VALIDATION_FAILED")
    assert warehouse.item() == before


@pytest.mark.parametrize(
    "value", ['{"x": 1e999}', '"\\ud800"', '"\\u0000"', "99999999999999999999"], ids=str
)
def test_p5_the_same_holds_for_a_json_patch(warehouse, value):
    before = warehouse.item()
    operation = f'[{{"op": "add", "path": "/attributes/x", "value": {value}}}]'

    assert error(warehouse.send(operation, JSON_PATCH)) == (422, "VALIDATION_FAILED")
    assert warehouse.item() == before


@pytest.mark.parametrize("body", ["null", "[]", "[1]", '"x"', "5", "true"])
def test_p10_a_merge_patch_that_is_no_object_is_422(warehouse, body):
    assert error(warehouse.send(body, MERGE_PATCH)) == (422, "VALIDATION_FAILED")


@pytest.mark.parametrize(("body", "media_type"), [("{}", MERGE_PATCH), ("[]", JSON_PATCH)])
def test_p10_a_patch_that_names_nothing_is_refused(warehouse, body, media_type):
    assert error(warehouse.send(body, media_type)) == (400, "EMPTY_PATCH")


def test_p10_a_route_may_take_an_empty_patch(warehouse):
    reply = warehouse.send({}, MERGE_PATCH, path="/lenient/item-001")

    assert (reply.status, reply.json()) == (200, {})


@pytest.mark.parametrize("chunked", [False, True])
def test_p10_the_applications_limit_holds(warehouse, chunked):
    body = b'{"description": "%s"}' % (b"x" * 70_000)
    framing = {"chunks": [body]} if chunked else {"body": body}

    reply = warehouse.client.request(
        "PATCH", "/items/item-001", headers={"Content-Type": MERGE_PATCH}, **framing
    )

    assert error(reply) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "application/foo+json"])
def test_another_media_type_is_415_and_says_which_are_taken(warehouse, media_type):
    reply = warehouse.send({"quantity": 1}, media_type)

    assert error(reply) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert reply.headers["accept-patch"] == ACCEPTED


def test_a_body_without_a_media_type_is_415(warehouse):
    reply = warehouse.send(b'{"quantity": 1}', None)

    assert error(reply) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_json_patch_is_415_where_a_route_takes_merge_patches_only(warehouse):
    reply = warehouse.send([], JSON_PATCH, path="/lenient/item-001")

    assert reply.status == 415
    assert reply.headers["accept-patch"] == f"{MERGE_PATCH}, application/json"


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_parameters_and_case_of_a_media_type_do_not_matter(warehouse, media_type):
    assert warehouse.send({"quantity": 1}, media_type).status == 200


def test_answers_say_how_the_resource_can_be_patched(warehouse):
    assert warehouse.merge({"quantity": 1}).headers["accept-patch"] == ACCEPTED
    got = warehouse.client.request("GET", "/items/item-001")
    assert got.headers["accept-patch"] == ACCEPTED

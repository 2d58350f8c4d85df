"""JSON and lines of it are told apart by what is in them, where a route takes both."""

import pytest

from uploads.kinds import WAYS

JSON, LINES = "application/json", "application/x-ndjson"
BOTH = ("json-lines", "lines-json", "everything")
LARGE = b"[" + b'"' + b"a" * 9000 + b'"' + b"]"


@pytest.mark.parametrize("route", BOTH)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"a":1}', JSON),
        (b'{"a":1}\n', JSON),
        (b'{\n "a": 1\n}\n', JSON),
        (b"[\n1,\n2]", JSON),
        (b'{"a":1}\n{"a":2}', LINES),
        (b'{"a":1}\n{"a":2}\n', LINES),
        (b'{"a":1}\r\n{"a":2}\r\n', LINES),
        (b"[1]\n\n[2]\n", LINES),
        (b"\xef\xbb\xbf[1]\n[2]\n", LINES),
        (LARGE, JSON),
        (LARGE + b"\n" + LARGE, LINES),
        (b"[1]\n" * 9000, LINES),
    ],
)
def test_values_on_lines_of_their_own_are_lines(kinds, route, way, content, told):
    assert kinds.send(route, content, way=way).told == told


@pytest.mark.parametrize("route", BOTH)
def test_one_value_on_one_line_is_what_its_client_says(kinds, route):
    assert kinds.send(route, b"[1]\n", declared=LINES).told == LINES
    assert kinds.send(route, b"[1]\n", declared=JSON).told == JSON
    assert kinds.send(route, b"[1]\n[2]\n", declared=LINES).told == LINES


@pytest.mark.parametrize("route", ["json-lines", "lines-json"])
@pytest.mark.parametrize(("declared", "content"), [(JSON, b"[1]\n[2]\n"), (LINES, b"[\n1]\n")])
def test_the_other_of_the_two_contradicts_what_was_declared(kinds, route, declared, content):
    answer = kinds.send(route, content, declared=declared)

    assert str(answer) == "415 contradicts"
    assert (LINES if declared == JSON else JSON) in answer.message


@pytest.mark.parametrize("route", ["json-lines", "lines-json"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{\n "a": 1,\n}', "malformed"),
        (b'{\n "a": ', "truncated"),
        (b"[1]\n[2", "truncated"),
        (b"[1]\n[2,]\n", "malformed"),
        (b"[1] [2]\n", "trailing_data"),
        (b'["\x01"]', "control_characters"),
        (b"[1]\n" * 3000 + b'{"a" 1}', "malformed"),
    ],
)
def test_what_is_neither_is_told_what_is_wrong(kinds, route, content, reason):
    assert str(kinds.send(route, content)) == f"422 {reason}"


def test_where_one_of_them_is_taken_the_other_is_not(kinds):
    assert str(kinds.send("json", b"[1]\n[2]\n")) == "422 trailing_data"
    assert str(kinds.send("ndjson", b"[\n1]\n")) == "422 malformed"

"""One fault has one code, wherever it is in the file, and its message says what it is."""

import pytest

from support.sample_files import png, zip_of
from uploads.kinds import WAYS

CONTROLS = [bytes([n]) for n in range(0x20) if n not in b"\t\n\f\r"] + [b"\x7f", "\x9b".encode()]
BOM = b"\xef\xbb\xbf"
PLACES = (0, 1, 4090, 4095, 4096, 9000)


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("route", ["text", "csv", "csv-text"])
def test_a_control_character_is_one_wherever_it_is(kinds, route, control):
    found = {str(kinds.send(route, b"a" * at + control + b"b" * 9)) for at in (0, 4095, 9000)}

    assert found == {"422 control_characters"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("at", PLACES)
@pytest.mark.parametrize("route", ["text", "csv"])
def test_a_colour_of_a_terminal_is_one_however_it_is_sent(kinds, route, at, way):
    assert str(kinds.send(route, b"a" * at + b"\x1b[31mred", way=way)) == "422 control_characters"


@pytest.mark.parametrize("at", PLACES)
def test_a_control_character_in_a_string_of_json_is_one(kinds, at):
    assert str(kinds.send("json", b'{"a":"' + b"b" * at + b'\x01"}')) == "422 control_characters"


@pytest.mark.parametrize("content", [b"{}", b" [1]", b'{"a": "b"}'])
@pytest.mark.parametrize("way", WAYS)
def test_a_byte_order_mark_before_json_is_passed_over(kinds, content, way):
    assert kinds.send("json", BOM + content, way=way).told == "application/json"
    assert kinds.send("ndjson", BOM + content, way=way).told == "application/x-ndjson"


@pytest.mark.parametrize("content", [b"<html>", b"<svg/>", b" <script>", b"%PDF-1.7\n1 0 obj"])
@pytest.mark.parametrize("route", ["text", "csv", "json", "ndjson"])
def test_a_byte_order_mark_is_no_disguise(kinds, route, content):
    assert kinds.send(route, BOM + content).status == 415


ABOUT = b"Files begin with %PDF-, then a version: %PDF-1.7"
HIDDEN = b"A text\n%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>"


@pytest.mark.parametrize("way", WAYS)
def test_what_speaks_of_pdf_is_a_text_and_what_is_one_is_told_so(kinds, way):
    quoted = dict.fromkeys(("text", "csv"), ABOUT) | {"json": b'{"a": "%s"}' % ABOUT}
    hidden = dict.fromkeys(("text", "csv"), HIDDEN)
    hidden["json"] = b'{"a": "%s"}' % HIDDEN.replace(b"\n", b" ")

    assert {kinds.send(route, c, way=way).status for route, c in quoted.items()} == {201}
    assert {str(kinds.send(route, c, way=way)) for route, c in hidden.items()} == {
        "422 hidden_format"
    }


@pytest.mark.parametrize("gap", [0, 500, 3000, 5000, 70_000, 300_000])
def test_the_objects_of_a_hidden_pdf_may_be_anywhere(kinds, gap):
    content = b"%%\n%PDF-1.7\n" + b"words\n" * (gap // 6) + b"1 0 obj<<>>"

    assert str(kinds.send("text", content)) == "422 hidden_format"


def test_an_object_is_none_where_nothing_says_that_it_is_of_a_pdf(kinds):
    assert kinds.send("text", b"const obj = 1 0 obj" + b" " * 1100 + b"%PDF-1.7").status == 201


@pytest.mark.parametrize("route", ["documents", "text", "zip", "everything"])
def test_each_refusal_says_why(kinds, route):
    files = {"empty": b"", "text": b"just text", "png": png() + b"x", "zip": zip_of({"../a": b""})}
    told = [kinds.send(route, content) for content in files.values()]

    assert all(one.message for one in told if one.status != 201)
    assert all(" or of another " not in one.message for one in told)

"""Text is taken if it is UTF-8 without controls, CSV and JSON if they are well-formed, too."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.uploads.errors import FileTypeRefused
from roadworthy.uploads.receiving.file_receiver import identify
from roadworthy.uploads.types import (
    CSV,
    GZIP,
    JPEG,
    JSON,
    NDJSON,
    PDF,
    PNG,
    TEXT,
    ZIP,
    csv_within,
    json_within,
    ndjson_within,
    text_within,
)
from support.judging import byte_by_byte, grows_in_proportion, truncated, verdict

CUTS = st.lists(st.integers(0, 10**6), max_size=30)
WORDS = "Straße, 漢字 😀\tand\u202e bidi\r\n\fline\u0085 two\n".encode()
ROWS = (
    b'\xef\xbb\xbfname,note\r\n"M\xc3\xbcller, A.","said ""hi""\r\ntwice"\r\n=1+1;-2;@x;+3\r\n"",\n'
)
TREE = {
    "id": -1.5e-3,
    "name": 'a "quoted" \\ \n name, ü 😀',
    "deep": [[[[[{"a": [1, {"b": [[], {}, None, True, False]}]}]]]]],
    "rows": [{"x": n, "y": [n, str(n)]} for n in range(3)],
}
COMPACT = json.dumps(TREE).encode()
PRETTY = json.dumps(TREE, indent=1, ensure_ascii=False).encode()
LINES = b'{"a": 1}\r\n[2]\n\n3\n"four"\n'
HEADS = [
    b"%PDF-1.7\n",
    b"\n\n%PDF-1.7\n",
    b"PK\x03\x04",
    b"\x89PNG\r\n",
    b"\xff\xd8\xff\xe0",
    b"\x1f\x8b\x08",
    b"GIF89a",
    b"RIFFaaaaWEBPVP8 ",
    b"{\\rtf1 x}",
    b"%!PS-Adobe",
    b"#!/bin/sh",
    b"<html>",
    b" \n<!DOCTYPE html>",
    b"\xef\xbb\xbf<svg xmlns=",
    b"<?xml version='1.0'?>",
    b"<?php echo 1;",
    b"<script>",
    b"\x7fELF",
    b"MZ\x90\0",
]


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (TEXT, WORDS),
        (TEXT, b"\xef\xbb\xbfwith a mark"),
        (TEXT, b"1 < 2, and %PDF is a format; see <html> for another"),
        (TEXT, b'a "quote in the middle'),
        (CSV, ROWS),
        (CSV, b"a\tb\n1\t2"),
        (CSV, b'"a";"b"\r"1";"2"'),
        (CSV, b"one column\nof prose"),
        (JSON, COMPACT),
        (JSON, PRETTY),
        (JSON, b" [ ] \r\n"),
        (JSON, b"{\t}"),
        (JSON, b'["\\ud800", "\\u00e9\\/"]'),
        (JSON, b"\xef\xbb\xbf" + COMPACT),
        (NDJSON, b"\xef\xbb\xbf" + LINES),
        (NDJSON, LINES),
        (NDJSON, b'{"a":1}'),
    ],
)
def test_an_honest_file_is_taken_however_it_comes(kind, content):
    assert kind.matches(content)
    assert verdict(content, kind=kind) == "taken"
    assert byte_by_byte(content, kind=kind) == "taken"


@pytest.mark.parametrize("head", HEADS)
def test_what_begins_as_something_else_is_no_text(head):
    assert not [kind for kind in (TEXT, CSV, JSON, NDJSON) if kind.matches(head + b" words")]


@pytest.mark.parametrize("control", [b"\0", b"\x1b[2J", b"\x08", b"\x7f", b"\x0b", "\x9b".encode()])
@pytest.mark.parametrize("kind", [TEXT, CSV])
def test_control_characters_are_rejected(kind, control):
    assert byte_by_byte(b"words" + control + b"words", kind=kind) == "control_characters"


@pytest.mark.parametrize("bad", [b"Stra\xdfe", b"\xc0\xafx", b"\xed\xa0\x80x", b"\xf5aaa", b"\x80"])
@pytest.mark.parametrize("kind", [TEXT, CSV])
def test_what_is_not_utf8_is_rejected(kind, bad):
    assert kind.matches(b"words " + bad)
    assert byte_by_byte(b"words " + bad, kind=kind) == "not_utf8"


def test_utf16_is_told_that_it_is_not_taken():
    content = "words".encode("utf-16")

    assert TEXT.matches(content)
    assert verdict(content, kind=TEXT) == "not_utf8"


def test_text_that_is_cut_within_a_character_is_rejected():
    assert truncated("漢".encode()[:3] * 2, kind=TEXT) == {"taken", "truncated"}


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_line_has_as_many_bytes_as_it_may(end):
    kind = text_within(max_line=10)
    long, fits = b"a" * 11, b"a" * 10

    assert byte_by_byte(fits + end + fits + end + fits, kind=kind) == "taken"
    assert verdict(fits + end + fits, kind=kind) == "taken"
    assert {
        verdict(fits + end + long + end, 10, kind=kind),
        byte_by_byte(long, kind=kind),
        verdict(b"a" + end + long, kind=kind),
    } == {"too_long"}


@given(st.lists(st.lists(st.text(st.sampled_from('a,";\n\r é')), min_size=1), min_size=1), CUTS)
def test_what_a_writer_of_csv_writes_is_taken(rows, cuts):
    file = io.StringIO(newline="")
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)

    assert verdict(file.getvalue().encode(), *cuts, kind=CSV) == "taken"


@pytest.mark.parametrize("row", [b'a"b",c', b'"a"b,c', b'a,"b" ,c', b' "a"', b'x"'])
def test_a_quote_within_a_field_is_rejected(row):
    assert verdict(b"1,2\n" + row + b"\n3,4\n", kind=CSV) == "malformed"
    assert byte_by_byte(row + b"\n", kind=CSV) == "malformed"


def test_a_quote_that_stays_open_is_rejected():
    assert byte_by_byte(b'a,"b\nc,d\n', kind=CSV) == "truncated"
    assert byte_by_byte(b'a,"b""', kind=CSV) == "truncated"


def test_a_row_has_as_many_columns_as_it_may():
    kind = csv_within(max_columns=3)

    assert byte_by_byte(b'a,"1,2,3,4",c\n' * 3, kind=kind) == "taken"
    assert verdict(b"a,b,c\na,b,c,d\na\n", kind=kind) == "too_many_entries"
    assert byte_by_byte(b"a;b;c\na;b;c;d\na\n", kind=kind) == "too_many_entries"


def test_a_row_has_as_many_bytes_as_it_may_with_its_quoted_lines():
    kind = csv_within(max_row=12)

    assert byte_by_byte(b'a,"1\n2\n3\n4"\n' * 3, kind=kind) == "taken"
    assert byte_by_byte(b'b\na,"1\n2\n3\n4\n5"\n', kind=kind) == "too_long"
    assert verdict(b'b\na,"1\n2\n3\n4\n5"\n', 2, kind=kind) == "too_long"


@given(st.binary(max_size=40).map(lambda b: b.translate(None, bytes(range(9)))), CUTS)
def test_cuts_make_no_difference_to_csv(content, cuts):
    kind = csv_within(max_row=20, max_columns=4)

    assert (verdict(content, *cuts, kind=kind) == "taken") == (
        byte_by_byte(content, kind=kind) == "taken"
    )


JSONS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSONS, st.booleans(), st.sampled_from([None, 1]), CUTS)
def test_what_a_writer_of_json_writes_is_taken(tree, ascii_only, indent, cuts):
    written = json.dumps([tree], ensure_ascii=ascii_only, indent=indent)
    content = written.encode(errors="replace")

    assert verdict(content, *cuts, kind=JSON) == "taken"


@given(st.lists(JSONS), CUTS)
def test_what_a_writer_of_lines_writes_is_taken(trees, cuts):
    content = b"".join(json.dumps(tree).encode() + b"\n" for tree in trees)

    assert verdict(content, *cuts, kind=NDJSON) == "taken"


@given(
    st.integers(0, len(COMPACT) - 1),
    st.sampled_from([b"", *(bytes([b]) for b in b'{}[],:"\\01-.eEtn\n\x00\xff ')]),
    st.integers(0, 2),
    CUTS,
)
def test_json_is_taken_where_another_reader_takes_it(at, put, removed, cuts):
    changed = COMPACT[:at] + put + COMPACT[at + removed :]

    try:
        json.loads(changed.decode(), parse_constant=int)  # which refuses NaN
        expected = True
    except ValueError:
        expected = False

    assert (verdict(changed, *cuts, kind=JSON) == "taken") == expected


@pytest.mark.parametrize("content", [COMPACT, PRETTY, b"[1, 2]"])
def test_json_that_is_cut_anywhere_is_rejected(content):
    assert truncated(content, kind=JSON) == {"truncated"}


@pytest.mark.parametrize(
    "content",
    [
        b"[NaN]",
        b"[Infinity]",
        b"[-Infinity]",
        b"[1,]",
        b"[,1]",
        b'{"a":1,}',
        b'{"a":1 "b":2}',
        b'{"a"}',
        b"{a:1}",
        b"{'a':1}",
        b"[1}",
        b'{"a":1]',
        b"[01]",
        b"[1.]",
        b"[.5]",
        b"[+1]",
        b"[1e]",
        b"[0x1]",
        b"[tru]",
        b"[nulll]",
        b"[1 2]",
        b'["\\x41"]',
        b'["\\u12g4"]',
        b'["a\nb"]',
        b"[1] // no",
        b"[/* no */]",
        b"\xef\xbb\xbf\xef\xbb\xbf[1]",
        b"[\xc2\xa01]",
    ],
)
def test_what_json_does_not_have_is_rejected(content):
    assert verdict(content, kind=JSON) in {"malformed", "trailing_data"}
    assert byte_by_byte(content, kind=JSON) == verdict(content, kind=JSON)


@pytest.mark.parametrize("more", [b"[2]", b"x", b",", b"\n{}", b"\0"])
def test_something_after_the_end_is_rejected(more):
    assert byte_by_byte(b"[1]" + more, kind=JSON) == "trailing_data"


def test_json_that_is_not_utf8_is_rejected():
    assert byte_by_byte(b'["\xff"]', kind=JSON) == "not_utf8"
    assert byte_by_byte(b'["\xed\xa0\x80"]', kind=JSON) == "not_utf8"


def test_a_line_of_json_is_one_text():
    assert byte_by_byte(b'{"a":\n1}\n', kind=NDJSON) == "malformed"
    assert byte_by_byte(b"1 2\n", kind=NDJSON) == "trailing_data"
    assert byte_by_byte(b'1\n{"a":', kind=NDJSON) == "truncated"


def test_json_is_as_deep_as_it_may_be():
    kind = json_within(max_depth=5)

    assert byte_by_byte(b"[[[[[1]]]]]", kind=kind) == verdict(b"[[[[[1]]]]]", kind=kind) == "taken"
    assert byte_by_byte(b"[[[[[[1]]]]]]", kind=kind) == "too_deep"
    assert verdict(b'[0,[[{"a":[[1]]}]]]', kind=kind) == "too_deep"
    assert verdict(b"[" * 10**6, kind=JSON) == "too_deep"


def test_a_string_has_as_many_bytes_as_it_may():
    kind = ndjson_within(max_string=10)

    assert byte_by_byte(b'["0123456789", {"0123456789": 1}]', kind=kind) == "taken"
    assert byte_by_byte(b'["0123456789a"]', kind=kind) == "too_long"
    assert verdict(b'{"0123456789a": 1}', kind=kind) == "too_long"


def test_a_number_has_as_many_digits_as_it_may():
    assert byte_by_byte(b"[" + b"1" * 1_100 + b"]", kind=JSON) == "taken"
    assert byte_by_byte(b"[" + b"1" * 1_101 + b"]", kind=JSON) == "too_long"
    assert verdict(b"[" + b"1" * 10**6, kind=JSON) == "too_long"


@pytest.mark.parametrize("accept", [(TEXT, CSV, JSON, NDJSON), (NDJSON, JSON, CSV, TEXT)])
def test_the_narrowest_type_is_taken_in_whatever_order(accept):
    found = {
        identify(content, declared, accept)
        for content, declared in [(COMPACT, ""), (COMPACT, "application/json")]
    }

    assert found == {JSON}
    assert identify(COMPACT, "text/plain", accept) is TEXT
    assert identify(LINES, "application/x-ndjson", accept) is NDJSON
    assert identify(ROWS, "application/vnd.ms-excel", accept) is CSV
    assert identify(b"[section]\nname=1\n", "", (JSON, TEXT)) is TEXT


def test_no_other_type_is_taken_for_text():
    with pytest.raises(FileTypeRefused):
        identify(b"<svg xmlns='...'>", "", (TEXT, CSV, JSON, PNG, JPEG, PDF, ZIP, GZIP))


@pytest.mark.parametrize(
    ("kind", "unit"),
    [
        (TEXT, b"\r"),
        (TEXT, b"\xc2\xa0"),
        (CSV, b'"",'),
        (CSV, b'"'),
        (CSV, b"\n"),
        (JSON, b'["' + b"\\\\" * 20 + b'",'),
        (JSON, b"[0,"),
        (JSON, b'{"a":'),
        (JSON, b" "),
        (NDJSON, b"[[[[[[]]]]]]\n"),
        (NDJSON, b'{"a":{"b":[{"c":[1]}]}}\n'),
        (NDJSON, b"\n"),
    ],
)
def test_time_grows_with_the_size_and_no_faster(kind, unit):
    deep = json_within(max_depth=10**6) if kind is JSON else kind
    content = unit * (200_000 // len(unit))

    assert grows_in_proportion(content, times=4, kind=deep)

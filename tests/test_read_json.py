"""The strict reader: JSON as RFC 8259 means it, and nothing that cannot be stored."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy._internal.read_json import MAX_DEPTH, Unreadable, read_json, unstorable

documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda children: st.lists(children) | st.dictionaries(st.text("abc"), children),
)


@given(documents)
def test_what_can_be_stored_is_read_as_it_is(document):
    for ascii_only in (True, False):
        body = json.dumps(document, ensure_ascii=ascii_only).encode()
        assert read_json(body) == document
        assert unstorable(document, body) == []


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"nul", b"{'a':1}", b"[1,]", b"\xff", b"\xef\xbb\xbf{}", b'"\n"'),
        *('"ü"'.encode("latin-1"), '{"a":1}'.encode("utf-16")),
        *(b'{"a":1,"a":2}', b'[{"b":{"a":1,"\\u0061":2}}]'),
        *(b"[" * 200_000, b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)),
    ],
)
def test_what_is_no_document_is_refused(body):
    with pytest.raises(Unreadable):
        read_json(body)


def test_the_deepest_allowed_document_is_read():
    body = b'{"a":' * (MAX_DEPTH - 1) + b"[]" + b"}" * (MAX_DEPTH - 1)

    assert read_json(body)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"a":NaN}', [(("a",), "finite_number")]),
        (b"[1,1e400]", [((1,), "finite_number")]),
        (b"-1E+999", [((), "finite_number")]),
        (b"1" * 400 + b".0", [((), "finite_number")]),
        (b'{"a":{"b":"\\ud83d"}}', [(("a", "b"), "string_unstorable")]),
        (b'{"a\\u0000":1}', [((), "string_unstorable")]),
        (b"9223372036854775808", [((), "int_too_large")]),
        (b"9223372036854775807", []),
        (b"-9223372036854775809", [((), "int_too_large")]),
        (b"1" * 5000, [((), "int_too_large")]),
        (b'"\\ud83d\\ude00"', []),
        (b'"\\\\u0000"', []),
    ],
)
def test_what_cannot_be_stored_is_found_where_it_stands(body, found):
    document = read_json(body)

    assert [(u.loc, u.code) for u in unstorable(document, body)] == found

"""A PDF is taken if it is whole, is one, and does nothing by itself."""

import io
import time
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader, PdfWriter
from pypdf.generic import DictionaryObject, NameObject, TextStringObject

from roadworthy.uploads.types.inspecting.filetype import Rejected
from roadworthy.uploads.types.pdf.pdf import PDF, pdf_within


def document(**action: str) -> bytes:
    """A document of one page, with an action when it is opened."""
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    if action:
        opened = DictionaryObject({NameObject("/S"): NameObject(f"/{action.pop('kind')}")})
        for name, text in action.items():
            opened[NameObject(f"/{name}")] = TextStringObject(text)
        writer.root_object[NameObject("/OpenAction")] = opened
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


def with_objects(content: bytes, *, filters: bytes = b"/FlateDecode") -> bytes:
    """A document with an object stream that holds this."""
    packed = zlib.compress(content) if filters else content
    entry = b"/Filter" + filters if filters else b""
    head = b"<</Type/ObjStm/N 1/First 4" + entry + b"/Length %d>>" % len(packed)
    stream = b"9 0 obj" + head + b"\nstream\n" + packed + b"\nendstream endobj\n"
    at = PLAIN.rindex(b"\nxref") + 1
    return PLAIN[:at] + stream + PLAIN[at:]


def verdict(content: bytes, *cuts: int, kind=PDF) -> str:
    inspector = kind.inspector()
    places = [0, *sorted(cut % (len(content) + 1) for cut in cuts), len(content)]
    try:
        for start, end in pairwise(places):
            inspector.feed(memoryview(content)[start:end])
        inspector.finish()
    except Rejected as rejected:
        return rejected.reason
    return "taken"


PLAIN = document()
UPDATED = PLAIN + b"5 0 obj<</Kind/Note>>endobj\nxref\n0 0\ntrailer<<>>\nstartxref\n9\n%%EOF\n"


@pytest.mark.parametrize("content", [PLAIN, UPDATED, PLAIN + b"\r\n \n"])
def test_an_honest_document_is_taken(content):
    assert PdfReader(io.BytesIO(content)).pages
    assert PDF.matches(content)
    assert verdict(content) == "taken"


def test_only_what_begins_as_one_is_one():
    assert not PDF.matches(b"junk" + PLAIN)
    assert not PDF.matches(b"%PDF-9.9")


def test_a_document_that_is_cut_anywhere_is_rejected():
    ends = {verdict(PLAIN[:end]) for end in range(8, len(PLAIN.rstrip()))}

    assert ends == {"truncated"}


@pytest.mark.parametrize("more", [b"x", b"<html>" + b"x" * 100, b"x" * 20_000, b"PK\x03\x04" * 20])
def test_bytes_after_the_end_are_rejected(more):
    assert verdict(PLAIN + more) in {"trailing_data", "truncated"}
    assert verdict(PLAIN + more) != "taken"


def test_an_end_with_something_else_before_the_next_is_rejected():
    assert verdict(PLAIN + b"#!/bin/sh\n" * 9 + PLAIN) == "trailing_data"


def test_a_character_map_may_end_like_a_document():
    stream = b"9 0 obj<</Length 25>>\nstream\n%%EndResource\n%%EOF\n\nendstream endobj\n"
    at = PLAIN.rindex(b"\nxref") + 1

    assert verdict(PLAIN[:at] + stream + PLAIN[at:], at + 48) == "taken"


def test_an_archive_around_the_end_is_rejected():
    hidden = b"PK\x05\x06" + b"\0" * 8 + b"startxref\n0\n%%EOF"

    assert verdict(PLAIN + hidden) != "taken"


@pytest.mark.parametrize("kind", ["JavaScript", "Launch", "SubmitForm", "ImportData", "GoToE"])
def test_what_acts_is_rejected(kind):
    assert verdict(document(kind=kind, JS="app.alert(1)")) == "active_content"


@pytest.mark.parametrize("written", [b"/J#61vaScript", b"/#4aavaScrip#74", b"/#4Caunch"])
def test_what_acts_is_rejected_however_its_name_is_written(written):
    plain = document(kind="JavaScript", JS="app.alert(1)")

    assert verdict(plain.replace(b"/JavaScript", written)) == "active_content"


@pytest.mark.parametrize("filters", [b"/FlateDecode", b"[/FlateDecode]", b""])
def test_what_acts_is_found_in_object_streams(filters):
    acting = with_objects(b"8 0 <</S/JavaScript/JS(app.alert(1))>>", filters=filters)
    harmless = with_objects(b"8 0 <</S/GoTo/D[3 0 R/Fit]>>", filters=filters)

    assert (verdict(acting), verdict(harmless)) == ("active_content", "taken")


@pytest.mark.parametrize("filters", [b"[/ASCIIHexDecode/FlateDecode]", b"/LZWDecode"])
def test_object_streams_that_cannot_be_judged_are_rejected(filters):
    assert verdict(with_objects(b"8 0 <<>>", filters=filters)) == "unsupported"


def test_the_name_of_an_object_stream_may_not_be_hidden():
    hidden = with_objects(b"8 0 <<>>").replace(b"/ObjStm", b"/Obj#53tm")

    assert verdict(hidden) == "malformed"


def test_an_object_stream_that_is_a_bomb_is_rejected():
    bomb = with_objects(b" " * 3_000_000)

    assert verdict(bomb, kind=pdf_within(max_unpacked=1_000_000)) == "too_large_inside"


def test_an_encrypted_document_is_rejected():
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    writer.encrypt("secret", algorithm="RC4-128")
    file = io.BytesIO()
    writer.write(file)

    assert verdict(file.getvalue()) == "encrypted"


@pytest.mark.parametrize(("at", "magic"), [(128, b"DICM"), (257, b"ustar"), (0x8001, b"CD001")])
def test_a_format_that_begins_at_a_fixed_place_is_rejected(at, magic):
    hidden = PLAIN[:9] + b"%" + b"\1" * (at - 10) + magic + b"\n" + PLAIN[9:]

    assert verdict(hidden) == "hidden_format"


def test_a_page_for_browsers_is_rejected():
    assert verdict(PLAIN.replace(b"\n", b"\n%<script>alert(1)</script>\n", 1)) == "hidden_format"


@given(st.lists(st.integers(0, 10**6), max_size=30))
def test_cuts_make_no_difference(cuts):
    acting = with_objects(b"8 0 <</S/JavaScript>>")

    assert verdict(UPDATED, *cuts) == "taken"
    assert verdict(acting, *cuts) == "active_content"
    assert verdict(PLAIN + b"x" * 600, *cuts) in {"trailing_data", "truncated"}


@pytest.mark.parametrize(
    "hostile", [b"%%EOF", b"/ObjStm", b"/a#41", b"stream\n", b"/ObjStm stream\nx", b"obj ", b"PK"]
)
def test_hostile_repetition_takes_time_in_proportion(hostile):
    def seconds(size: int) -> float:
        content = b"%PDF-1.7\n" + hostile * (size // len(hostile))
        began = time.process_time()
        verdict(content, *range(0, size, 65536))
        return time.process_time() - began

    assert seconds(2_000_000) < 12 * seconds(500_000) + 0.1

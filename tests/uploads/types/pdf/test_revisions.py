"""A document that was updated is one document, and a document after another is two."""

import io
from itertools import permutations

import pikepdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfWriter

from roadworthy.uploads.types import PDF, pdf_within
from support import judging
from support.producers import FILES

MADE = {
    f"{producer}/{name}": content
    for producer in ("reportlab", "fpdf2", "pikepdf")
    for name, content in FILES[producer]().items()
}
SMALL = sorted(MADE, key=lambda name: len(MADE[name]))[:6]


def verdict(content: bytes, *cuts: int, kind=PDF) -> str:
    return judging.verdict(content, *cuts, kind=kind)


def updated(content: bytes) -> bytes:
    writer = PdfWriter(io.BytesIO(content), incremental=True)
    writer.add_metadata({"/Title": "Another title, %PDF-1.4 xref"})
    writer.write(file := io.BytesIO())
    return file.getvalue()


@pytest.mark.parametrize(("first", "second"), list(permutations(SMALL, 2)))
@pytest.mark.parametrize("between", [b"", b"\n", b"\n" * 40])
def test_two_documents_are_ambiguous(first, second, between):
    assert verdict(MADE[first] + between + MADE[second]) == "ambiguous"


@pytest.mark.parametrize("name", MADE)
def test_the_same_document_twice_is_ambiguous(name):
    assert verdict(MADE[name] * 2) == "ambiguous"


@given(cuts=st.lists(st.integers(0, 10**5), max_size=20))
@settings(deadline=None)
def test_two_documents_are_found_wherever_they_are_cut(cuts):
    both = MADE[SMALL[0]] + MADE[SMALL[1]]

    assert verdict(both, *cuts) == "ambiguous"
    assert verdict(updated(MADE[SMALL[0]]), *cuts) == "taken"


@pytest.mark.parametrize("name", [name for name in MADE if "linearized" not in name])
def test_a_document_that_was_updated_is_taken(name):
    once = updated(MADE[name])
    assert once.startswith(MADE[name])

    assert verdict(once) == verdict(updated(once)) == "taken"


def test_a_document_with_a_document_attached_is_one():
    with pikepdf.open(io.BytesIO(MADE[SMALL[0]])) as document:
        attached = pikepdf.AttachedFileSpec(document, MADE[SMALL[1]], mime_type="application/pdf")
        document.attachments["a.pdf"] = attached
        document.save(file := io.BytesIO(), compress_streams=False, linearize=True)
    content = file.getvalue()

    assert content.count(b"%PDF-") == 2
    assert verdict(content, kind=pdf_within(attachments=["application/pdf"])) == "taken"


def test_a_second_document_whose_table_fits_both_ways_is_ambiguous():
    first, second = MADE[SMALL[0]], MADE[SMALL[1]]
    last = int(second.rpartition(b"startxref")[2].split()[0])
    decoy = first[:last].ljust(last, b" ") + b"xref\n" + first[last:]

    assert verdict(decoy + second) == "ambiguous"

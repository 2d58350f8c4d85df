"""A PDF may speak of scripts as it likes, and may not have any."""

import io
import zlib

import fpdf
import pikepdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reportlab.pdfgen.canvas import Canvas

from roadworthy.uploads.types import PDF, pdf_within
from support.judging import seconds, verdict

NAMES = ["JavaScript", "Launch", "XFA", "SubmitForm", "ImportData", "RichMedia", "GoToE"]
NAMES += ["EmbeddedFiles", "EmbeddedFile"]
CUTS = st.lists(st.integers(0, 10**6), max_size=20)


def document(page: bytes = b"", more: bytes = b"", root: bytes = b"") -> bytes:
    """A document of one empty page, with something in its page, beside it, or in its root."""
    return (
        b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R" + root + b">>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]" + page + b">>endobj\n" + more
        + b"trailer<</Root 1 0 R/Size 5>>\nstartxref\n9\n%%EOF\n"
    )  # fmt: skip


def packed(*objects: bytes, filters: bytes = b"/Filter/FlateDecode") -> bytes:
    """An object stream of these objects, with the numbers from 20 on."""
    heads, content = [], b""
    for number, one in enumerate(objects, 20):
        heads.append(b"%d %d" % (number, len(content)))
        content += one + b" "
    head = b" ".join(heads) + b" "
    text = zlib.compress(head + content) if filters else head + content
    entries = b"/N %d/First %d/Length %d" % (len(objects), len(head), len(text))
    return (
        b"9 0 obj<</Type/ObjStm"
        + entries
        + filters
        + b">>stream\n"
        + text
        + b"\nendstream endobj\n"
    )


# --- what only speaks -----------------------------------------------------------------

SPEAKING = [
    b"/Annots[<</Subtype/Link/A<</S/URI/URI(https://example.com/wiki/%s)>>>>]",
    b"/Annots[<</Subtype/Link/A<</S/URI/URI(https://example.com/%s?a=b)>>>>]",
    b"/Annots[<</Subtype/Text/Contents(HTML/CSS/%s and more)>>]",
    b"/Annots[<</Subtype/Text/Contents(HTML/%s: it is\n)>>]",
    b"/Annots[<</Subtype/Widget/V(/%s)/DV(a/%s,b)>>]",
    b"/Title(Web/%s)/Author(me)",
    b"/Keywords(TypeScript/%s, SQL)",
    b"/Title(A/%s/More)",
    b"/Title(A/%s\\(x\\))",
    b"/Title(A/%s \\(x\\))",
    b"/Note(see\n/%s\nand others)",
    b"/Note(100 % of it\n/%s, too)",
    b"/Lang[/%s/Other]",
    b"/%s true",
    b"/%s 5",
    b"/%sX<<>>",
    b"/Not%s<<>>",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("spoken", SPEAKING)
def test_a_document_may_speak_of_what_acts(name, spoken):
    content = document(spoken.replace(b"%s", name.encode()))

    assert verdict(content, kind=PDF) == "taken"
    assert verdict(content, *range(0, len(content), 3), kind=PDF) == "taken"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("filters", [b"/Filter/FlateDecode", b""])
def test_an_object_stream_may_speak_of_what_acts(name, filters):
    spoken = [b"(HTML 5/%s)" % name.encode(), b"<</Title(Web/%s)>>" % name.encode(), b"[1]"]

    assert verdict(document(more=packed(*spoken, filters=filters)), kind=PDF) == "taken"


XMP = "<x:xmpmeta><dc:title>HTML/%s</dc:title> <pdf:Keywords>a/%s b</pdf:Keywords></x:xmpmeta>"


@pytest.mark.parametrize("name", NAMES)
def test_metadata_and_pages_may_speak_of_what_acts(name):
    metadata = XMP.replace("%s", name).encode()
    text = b"BT /F1 12 Tf (See /%s and wiki/%s) Tj ET" % (name.encode(), name.encode())
    streams = [b"7 0 obj<</Length %d>>stream\n%s\nendstream endobj\n" % (len(x), x)
               for x in (metadata, text)]  # fmt: skip

    assert verdict(document(more=b"".join(streams)), kind=PDF) == "taken"


def with_reportlab(name: str) -> bytes:
    file = io.BytesIO()
    canvas = Canvas(file, pageCompression=0)
    canvas.setTitle(f"HTML/CSS/{name}")
    canvas.setSubject(f"TypeScript/{name}, SQL")
    canvas.setKeywords([f"Web/{name}", name])
    canvas.bookmarkPage("a")
    canvas.addOutlineEntry(f"Web/{name}", "a")
    canvas.drawString(100, 700, f"All of /{name} on a page")
    canvas.linkURL(f"https://example.com/wiki/{name}", (0, 0, 9, 9))
    canvas.save()
    return file.getvalue()


def with_fpdf(name: str) -> bytes:
    pdf = fpdf.FPDF()
    pdf.set_compression(False)
    pdf.add_page()
    pdf.set_font("helvetica")
    pdf.set_title(f"Web/{name}")
    pdf.start_section(f"A/{name}")
    pdf.cell(text=f"On /{name}", link=f"https://example.com/{name}")
    return bytes(pdf.output())


def with_pikepdf(name: str, *, objects: pikepdf.ObjectStreamMode) -> bytes:
    file = io.BytesIO()
    with pikepdf.open(io.BytesIO(with_reportlab(name))) as pdf:
        with pdf.open_metadata() as metadata:
            metadata["dc:title"] = f"HTML/{name}"
        pdf.save(file, object_stream_mode=objects, linearize=objects.name == "preserve")
    return file.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_what_real_programs_write_of_it_is_taken(name):
    modes = (pikepdf.ObjectStreamMode.generate, pikepdf.ObjectStreamMode.preserve)
    made = [with_reportlab(name), with_fpdf(name)]
    made += [with_pikepdf(name, objects=mode) for mode in modes]

    assert [verdict(content, kind=PDF) for content in made] == ["taken"] * 4


# --- what acts ------------------------------------------------------------------------

ACTING = [
    b"/AA<</O<</S/%s/JS(app.alert\\(1\\))>>>>",
    b"/AA<</O<</JS(x)/S /%s>>>>",
    b"/AA<</O<</S\r\n\t\0/%s>>>>",
    b"/AA<</O<</S%% why\n/%s>>>>",
    b"/AA<</O<</S%% why\r%%/Foo%%\r\n%%\n/%s>>>>",
    b"/AA<</O<</S%%%% <</Other/Name\n  /%s>>>>",
    b"/AA<</O<</#53/%s>>>>",
    b"/X<</Type/%s>>",
    b"/X<</Subtype %% a\n /%s>>",
    b"/X<</#53ubt#79pe/%s>>",
    b"/Names<</%s 6 0 R>>",
    b"/Names<</%s[(a) 6 0 R]>>",
    b"/Names<</%s %% a\n 6 %% b\n 0\nR>>",
    b"/Names<</%s<</Names[(a) 6 0 R]>>>>",
    b"/Names<</%s\r<</Kids[6 0 R]>>>>",
    b"/X(5 0 obj<</S/%s/JS 6 0 R>>endobj)",
    b"/X(5 0 obj /%s endobj)",
    b">>endobj\n%% 5 0 obj<</S/%s>>endobj\n7 0 obj<<",
    b">>endobj\n7 0 obj /%s endobj 8 0 obj<</S 7 0 R",
    b">>endobj\n7 0 obj%%\n/%s endobj 8 0 obj<</S 7 0 R",
    b">>endobj\n7 0 obj<</Length 99>>stream\n<</S/%s>>\nendstream endobj 8 0 obj<<",
]


def written(template: bytes, name: bytes) -> bytes:
    return document(template.replace(b"%%", b"\xff").replace(b"%s", name).replace(b"\xff", b"%"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("template", ACTING)
def test_what_acts_is_rejected_wherever_it_stands(name, template):
    content = written(template, name.encode())
    escaped = written(template, name[:1].encode() + b"#%02x" % ord(name[1]) + name[2:].encode())

    assert verdict(content, kind=PDF) == "active_content"
    assert verdict(escaped, kind=PDF) == "active_content"


@settings(max_examples=60)
@given(st.sampled_from(NAMES), st.sampled_from(ACTING), CUTS)
def test_what_acts_is_rejected_wherever_it_is_cut(name, template, cuts):
    assert verdict(written(template, name.encode()), *cuts, kind=PDF) == "active_content"


GAPS = st.lists(st.sampled_from([b" ", b"\n", b"\r\n", b"\0", b"%x\n", b"%(/S\r", b"%%\n"]))


@given(GAPS.map(b"".join), CUTS)
def test_what_stands_between_a_key_and_its_value_is_passed_over(gap, cuts):
    content = document(b"/AA<</O<</S" + gap + b"/JavaScript>>>>")

    assert verdict(content, *cuts, kind=PDF) == "active_content"


@pytest.mark.parametrize("gap", [b" " * 100_000, b"%" + b"x" * 100_000 + b"\n", b"%x\n" * 30_000])
@pytest.mark.parametrize("template", [b"/AA<</S%s/JavaScript>>", b"/Names<</JavaScript%s<<a>>>>"])
def test_a_gap_that_is_longer_than_anybody_writes_is_rejected(gap, template):
    assert verdict(document(template.replace(b"%s", gap)), kind=PDF) == "malformed"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("filters", [b"/Filter/FlateDecode", b"/Filter[/Fl]", b""])
@pytest.mark.parametrize("last", [b"<</S/%s>>", b"/%s", b"%% a\n/%s", b"<</%s 5 0 R>>"])
def test_what_acts_is_rejected_in_object_streams(name, filters, last):
    acting = last.replace(b"%%", b"\xff").replace(b"%s", name.encode()).replace(b"\xff", b"%")
    objects = [b"(HTML 5)", b"<</Kind/Note>>", acting]

    content = document(more=packed(*objects, filters=filters))

    assert verdict(content, kind=PDF) == "active_content"
    assert verdict(content, *range(0, len(content), 5), kind=PDF) == "active_content"


@pytest.mark.parametrize(
    "change",
    [
        (b"/First ", b"/First 0/First "),
        (b"/First ", b"/F#69rst "),
        (b"/First ", b"/First 5 0 R/X "),
    ],
)
def test_an_object_stream_that_hides_where_its_objects_begin_is_rejected(change):
    assert verdict(document(more=packed(b"/Launch").replace(*change)), kind=PDF) == "malformed"


def test_a_title_may_name_object_streams():
    stream = b"7 0 obj<</Filter/DCTDecode>>stream\n\xff\xd8\xff\nendstream endobj\n"
    title = b"6 0 obj<</Title(On /ObjStm in PDF)>>endobj\n"

    assert verdict(document(more=title + stream), kind=PDF) == "taken"


# --- files ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tree",
    [b"<<>>", b"<</Names[]>>", b"<< /Kids [ ] >>", b"<</Names %a\n[ ]/Kids[]>>"],
)
@pytest.mark.parametrize("name", [b"EmbeddedFiles", b"JavaScript"])
def test_an_empty_tree_of_names_is_nothing(tree, name):
    beside = b"6 0 obj\n" + tree + b"endobj\n"
    root = b"/Names<</" + name + b" %s>>"

    assert verdict(document(root=root.replace(b"%s", tree)), kind=PDF) == "taken"
    assert verdict(document(root=root.replace(b"%s", b"6 0 R"), more=beside), kind=PDF) == "taken"
    within = document(root=root.replace(b"%s", b"20 0 R"), more=packed(tree))
    assert verdict(within, kind=PDF) == "taken"
    missing = document(root=root.replace(b"%s", b"5 0 R"), more=beside)
    assert verdict(missing, kind=PDF) == "active_content"


def with_file(media_type: str, *, filename: str = "factur-x.xml") -> bytes:
    file = io.BytesIO()
    with pikepdf.new() as pdf:
        pdf.add_blank_page()
        spec = pikepdf.AttachedFileSpec(pdf, b"<invoice/>", filename=filename, mime_type=media_type)
        pdf.attachments[filename] = spec
        pdf.save(file, object_stream_mode=pikepdf.ObjectStreamMode.disable)
    return file.getvalue()


def test_an_attached_file_is_taken_where_its_type_is_named():
    invoices = pdf_within(attachments=("text/xml", "application/xml"))

    for media_type in ("text/xml", "application/xml"):
        assert verdict(with_file(media_type), kind=PDF) == "active_content"
        content = with_file(media_type)
        assert verdict(content, kind=invoices) == "taken"
        assert verdict(content, *range(0, len(content), 7), kind=invoices) == "taken"
    assert verdict(with_file("application/x-msdownload"), kind=invoices) == "active_content"
    assert verdict(document(b"/AA<</S/Launch>>"), kind=invoices) == "active_content"


TWICE = (
    b"8 0 obj<</EF<</F 9 0 R>>>>endobj 9 0 obj<</Subtype/text#2Fxml/Length 1>>stream\nx\n"
    b"endstream endobj 9 0 obj<</Subtype/a#2Fexe>>stream\nx\nendstream endobj\n"
)


@pytest.mark.parametrize(
    "more",
    [
        b"8 0 obj<</Type/Filespec/EF<</F 9 0 R>>>>endobj\n",
        b"8 0 obj<</Type/Filespec/EF 9 0 R>>endobj\n",
        b"8 0 obj<</EF<</F 9 0 R>>>>endobj 9 0 obj<</Length 1>>stream\nx\nendstream endobj\n",
        TWICE,
    ],
)
def test_an_attached_file_that_hides_its_type_is_rejected(more):
    invoices = pdf_within(attachments=("text/xml",))

    assert verdict(document(more=more), kind=invoices) == "active_content"


@pytest.mark.parametrize(
    "hostile",
    [b"/JavaScript", b"/JavaScript ", b"/JavaScript%", b"%/JavaScript\n", b"/S ", b"%\n/Launch\n"],
)
def test_hostile_repetition_takes_time_in_proportion(hostile):
    once, fourfold = (
        seconds(b"%PDF-1.7\n" + hostile * (size // len(hostile)), kind=PDF)
        for size in (500_000, 2_000_000)
    )

    assert fourfold < 12 * once + 0.1

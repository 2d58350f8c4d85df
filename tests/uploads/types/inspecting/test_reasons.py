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


ODF = b"\x08\0\0\0mimetypeapplication/vnd.oasis.opendocument."
SEEN = {
    "(.bmp)": b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0",
    "(.tiff)": b"II*\0\x08\0\0\0",
    "(.heic)": b"\0\0\0\x18ftypheic\0\0\0\0",
    "(.avif)": b"\0\0\0\x18ftypavif\0\0\0\0",
    "old office": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(90),
    "(.html)": b"<!DOCTYPE html><p>Not found",
    "(.svg)": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "(.zip)": b"PK\x03\x04" + bytes(40),
    "(.ott, .ots, .otp)": b"PK\x03\x04" + bytes(22) + ODF + b"text-templatePK",
    "OpenDocument": b"PK\x03\x04" + bytes(22) + ODF + b"graphicsPK",
    "(.pdf)": b"\n\n%PDF-1.4\n",
    "a program": b"MZ\x90\0\x03",
    "text": b"Dear all,\n",
}


@pytest.mark.parametrize(("name", "content"), SEEN.items())
@pytest.mark.parametrize("way", WAYS)
def test_a_file_of_no_type_is_told_what_it_seems_to_be(kinds, name, content, way):
    answer = kinds.send("documents", content, way=way)

    assert str(answer) == "415 not_taken"
    assert name in answer.message.partition("It seems to be")[2]
    assert "application/pdf (.pdf)" in answer.message


def test_a_file_of_which_nothing_is_known_is_told_what_to_do(kinds):
    assert kinds.send("documents", bytes(range(1, 9))).message.endswith("Save it as one of these.")


def test_another_document_is_told_all_that_is_taken(kinds):
    message = kinds.send("documents-office", template_of_excel()).message

    assert "a template (.xltx). Taken here: .pdf, .csv, .docx, .xlsx, .pptx." in message


def template_of_excel() -> bytes:
    """Make a template, told by the type of its main part."""
    main = "application/vnd.openxmlformats-officedocument.spreadsheetml.template.main+xml"
    space = "http://schemas.openxmlformats.org/"
    listed = f'<Override PartName="/xl/workbook.xml" ContentType="{main}"/>'
    kind = f"{space}officeDocument/2006/relationships/officeDocument"
    link = f'<Relationship Id="r" Type="{kind}" Target="xl/workbook.xml"/>'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{space}package/2006/content-types">{listed}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{space}package/2006/relationships">{link}'
        "</Relationships>",
        "xl/workbook.xml": "<workbook/>",
    }
    return zip_of({name: text.encode() for name, text in parts.items()})

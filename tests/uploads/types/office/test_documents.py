"""A document of an office is taken if it is whole, and does nothing when it is opened."""

import io
import zipfile
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.uploads.receiving.file_receiver import identify
from roadworthy.uploads.types import (
    DOCX,
    ODP,
    ODS,
    ODT,
    PPTX,
    XLSX,
    ZIP,
    FileType,
    Rejected,
    docx_within,
    odt_within,
)
from support.judging import byte_by_byte, seconds, truncated, verdict

KINDS = (DOCX, XLSX, PPTX, ODT, ODS, ODP)
OFFICE = "application/vnd.openxmlformats-officedocument."
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
ODF = "application/vnd.oasis.opendocument."
SPACES = " ".join(
    f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{long}:1.0"'
    for short, long in {
        "office": "office",
        "text": "text",
        "table": "table",
        "draw": "drawing",
        "script": "script",
        "presentation": "presentation",
        "manifest": "manifest",
        "meta": "meta",
    }.items()
)

Parts = dict[str, str | bytes]


def archive(parts: Parts, *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, content in parts.items():
            how = zipfile.ZIP_STORED if name == "mimetype" else method
            made.writestr(zipfile.ZipInfo(name), content, compress_type=how)
    return file.getvalue()


def relations(*links: tuple[str, str, str]) -> str:
    inside = "".join(
        f'<Relationship Id="r{number}" Type="{RELATIONS}{kind}" Target="{target}"'
        f"{mode and f' TargetMode={mode!r}'}/>"
        for number, (kind, target, mode) in enumerate(links)
    )
    space = "http://schemas.openxmlformats.org/package/2006/relationships"
    return f'<?xml version="1.0"?><Relationships xmlns="{space}">{inside}</Relationships>'


def types(main: str, content_type: str, *more: tuple[str, str]) -> str:
    named = "".join(
        f'<Override PartName="{part}" ContentType="{kind}"/>'
        for part, kind in [(main, content_type), *more]
    )
    return (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="xml" ContentType="application/xml"/>'
        '<Default Extension="svg" ContentType="image/svg+xml"/>'
        f"{named}</Types>"
    )


def opc(main: str, content_type: str, content: str) -> Parts:
    return {
        "[Content_Types].xml": types("/" + main, OFFICE + content_type),
        "_rels/.rels": relations(("officeDocument", main, "")),
        main: content,
    }


def odf(kind: str, content: str = "<text:p>x</text:p>", manifest: str = "") -> Parts:
    return {
        "mimetype": ODF + kind,
        "content.xml": f"<office:document-content {SPACES} xmlns:xlink="
        f'"http://www.w3.org/1999/xlink">{content}</office:document-content>',
        "META-INF/manifest.xml": f"<manifest:manifest {SPACES}><manifest:file-entry "
        f'manifest:full-path="/" manifest:media-type="{ODF}{kind}"/>{manifest}</manifest:manifest>',
    }


def body(content: str) -> str:
    return f"<w:document {W}><w:body>{content}</w:body></w:document>"


def field(*pieces: str) -> str:
    marks = "".join(f"<w:r><w:instrText>{piece}</w:instrText></w:r>" for piece in pieces)
    return body(f'<w:fldChar w:fldCharType="begin"/>{marks}<w:fldChar w:fldCharType="end"/>')


WORD = opc("word/document.xml", "wordprocessingml.document.main+xml", body("<w:p>Hello</w:p>"))
SHEETS = opc("xl/workbook.xml", "spreadsheetml.sheet.main+xml", "<workbook/>")
SHEETS |= {
    "[Content_Types].xml": types(
        "/xl/workbook.xml",
        OFFICE + "spreadsheetml.sheet.main+xml",
        ("/xl/worksheets/sheet1.xml", OFFICE + "spreadsheetml.worksheet+xml"),
    ),
    "xl/_rels/workbook.xml.rels": relations(("worksheet", "worksheets/sheet1.xml", "")),
    "xl/worksheets/sheet1.xml": "<worksheet>" + "<c><v>1</v></c>" * 9 + "</worksheet>",
}
SLIDES = opc("ppt/presentation.xml", "presentationml.presentation.main+xml", "<presentation/>")
LINKS = relations(
    ("hyperlink", "https://example.com/?a=b:c", "External"),
    ("hyperlink", "mailto:a@example.com", "External"),
    ("hyperlink", "other file.docx", "External"),
    ("hyperlink", "#bookmark", "External"),
    ("hyperlink", r"file:///C:\docs\a.docx", "External"),
    ("attachedTemplate", r"file:///C:\Users\me\Normal.dotm", "External"),
    ("attachedTemplate", "file://localhost/Users/me/Normal.dotm", "External"),
    ("image", "media/image1.png", ""),
)
DOCUMENT = archive(WORD)
TEXT = archive(odf("text"))
HONEST = [
    (DOCX, DOCUMENT),
    (DOCX, archive(WORD | {"word/_rels/document.xml.rels": LINKS, "word/media/image1.svg": "x"})),
    (DOCX, archive(WORD | {"word/document.xml": field("HYPERLINK", ' "https://dde.example/"')})),
    (DOCX, archive(dict(reversed(WORD.items())))),
    (DOCX, archive(WORD, method=zipfile.ZIP_STORED)),
    (XLSX, archive(SHEETS)),
    (PPTX, archive(SLIDES)),
    (ODT, TEXT),
    (ODT, archive(odf("text") | {"Configurations2/accelerator/current.xml": ""})),
    (ODT, archive(odf("text") | {"Object 1/Configurations2/accelerator/current.xml": ""})),
    (ODT, archive(odf("text", '<text:a xlink:href="https://example.com"/>'))),
    (ODT, archive(odf("text", '<draw:image xlink:href="Pictures/a.png"/>'))),
    (ODS, archive(odf("spreadsheet"))),
    (ODP, archive(odf("presentation"))),
]


@pytest.mark.parametrize(("kind", "content"), HONEST)
def test_an_honest_document_is_taken(kind, content):
    assert [other for other in KINDS if other.matches(content[:4096])] == [kind]
    assert verdict(content, kind=kind) == "taken"
    assert byte_by_byte(content, kind=kind) == "taken"


@pytest.mark.parametrize("kind", KINDS)
def test_a_document_is_no_mere_archive_in_whatever_order(kind):
    content = next(content for other, content in HONEST if other is kind)

    assert identify(content, "", (ZIP, kind)) is kind
    assert identify(content, "", (kind, ZIP)) is kind


def test_what_is_encrypted_or_an_archive_is_none():
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
    plain = archive({"a.txt": "text"})

    assert not [kind for kind in KINDS if kind.matches(ole) or kind.matches(plain)]


@pytest.mark.parametrize(("kind", "content"), [(DOCX, DOCUMENT), (ODT, TEXT)])
def test_a_document_that_is_cut_anywhere_is_rejected(kind, content):
    assert truncated(content, kind=kind) == {"truncated"}


@given(st.lists(st.integers(0, 10**5), max_size=30))
def test_cuts_make_no_difference(cuts):
    acting = archive(WORD | {"word/document.xml": field("DD", "EAUTO c:\\x")})

    assert verdict(DOCUMENT, *cuts, kind=DOCX) == "taken"
    assert verdict(TEXT, *cuts, kind=ODT) == "taken"
    assert verdict(acting, *cuts, kind=DOCX) == "active_content"


@pytest.mark.parametrize(
    "name",
    [
        "word/vbaProject.bin",
        "word/VBAPROJECT.BIN",
        "word\\vbaProject.bin",
        "word/vba%50roject.bin",
        "word/vbaData.xml",
        "word/activeX/activeX1.xml",
        "word/embeddings/oleObject1.bin",
        "word/embeddings/object.bin",
        "word/embeddings/book.xlsm",
        "word/afchunk.html",
        "xl/macrosheets/sheet1.xml",
    ],
)
def test_a_part_that_acts_is_rejected_by_its_name(name):
    assert verdict(archive(WORD | {name: b"<x/>"}), kind=DOCX) == "active_content"


@pytest.mark.parametrize(
    "link",
    [
        ("vbaProject", "media/a.xml", ""),
        ("oleObject", "media/a.xml", ""),
        ("control", "media/a.xml", ""),
        ("aFChunk", "media/a.xml", ""),
        ("xlMacrosheet", "media/a.xml", ""),
        ("attachedTemplate", "https://example.com/t.dotm", "External"),
        ("attachedTemplate", r"\\server\t.dotm", "External"),
        ("attachedTemplate", "file://server/t.dotm", "External"),
        ("image", "https://example.com/a.png", "External"),
        ("frame", "https://example.com", "External"),
        ("externalLinkPath", "other.xlsx", "External"),
        ("hyperlink", "javascript:alert(1)", "External"),
        ("hyperlink", "ms-msdt:/id", "External"),
        ("hyperlink", r"\\server\share", "External"),
        ("hyperlink", "//server/share", "External"),
        ("hyperlink", "file://server/share", "External"),
        ("image", "https://example.com/a.png", ""),
        ("image", "https://example.com/a.png", "external"),
    ],
)
@pytest.mark.parametrize("place", ["word/_rels/document.xml.rels", "customXml/_rels/x.rels"])
def test_a_relation_that_acts_is_rejected(link, place):
    assert verdict(archive(WORD | {place: relations(link)}), kind=DOCX) == "active_content"


OWN_LINKS = [
    "file:///srv/me/a.docx",
    "file:/srv/me/a.docx",
    "file://localhost/Users/me/a.docx",
    "FILE:///C:/docs/a.docx",
    "file:///c:%5Cdocs%5Ca.docx",
    "sip:ann@example.com",
    "SIPS:ann@example.com",
    "im:ann@example.com",
    "xmpp:ann@example.com",
    "callto:ann",
    "tel:+49123",
    "about:blank",
    "about:blank#top",
]
AWAY = {
    "on another machine": [
        r"\\server\share",
        "//server/share",
        "%5C%5Cserver%5Cshare",
        "file://server/share",
        "file:////server/share",
        r"file:///\\server\share",
        "file:///%5C%5Cserver/share",
        "file:///..//server/share",
        "file:///?/UNC/server/share",
    ],
    "runs a script": ["javascript:alert(1)", "VBScript:x", "data:text/html,x", " javascript:x"],
    "starts a program": ["ms-msdt:/id", "search-ms:query=x", "about:config", "java\nscript:x"],
}


def documents_with(target: str, kind: str = "hyperlink") -> dict[FileType, bytes]:
    """A document of Word and one of OpenDocument with this link."""
    place = "word/_rels/document.xml.rels"
    linked = odf("text", f"<text:a xlink:href={quoteattr(target)}/>")
    return {
        DOCX: archive(WORD | {place: relations((kind, target, "External"))}),
        ODT: archive(linked),
    }


@pytest.mark.parametrize("target", OWN_LINKS)
def test_a_link_to_people_to_nowhere_or_to_ones_own_file_is_taken(target):
    found = {verdict(content, kind=kind) for kind, content in documents_with(target).items()}

    assert found == {"taken"}


@pytest.mark.parametrize(("what", "target"), [(what, one) for what in AWAY for one in AWAY[what]])
def test_a_link_elsewhere_is_refused_and_told_what_it_is(what, target):
    for kind, content in documents_with(target).items():
        inspector = kind.inspector()
        with pytest.raises(Rejected, match=what) as caught:
            inspector.feed(content)
        assert caught.value.reason == "active_content"


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("image", "a picture"),
        ("attachedTemplate", "a template"),
        ("externalLinkPath", "another workbook"),
        ("mailMergeSource", "a mail merge"),
        ("subDocument", "a part of its text"),
        ("video", "a film"),
    ],
)
def test_what_a_document_fetches_is_named(kind, part):
    content = documents_with("https://example.com/a", kind)[DOCX]

    with pytest.raises(Rejected, match=part):
        DOCX.inspector().feed(content)


def test_a_relation_is_found_in_whatever_encoding():
    link = relations(("oleObject", "a.xml", ""))
    place = "word/_rels/document.xml.rels"
    hidden = link.replace("oleObject", "ole&#79;bject")

    assert verdict(archive(WORD | {place: hidden}), kind=DOCX) == "active_content"
    assert verdict(archive(WORD | {place: link.encode("utf-16")}), kind=DOCX) != "taken"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/vnd.ms-word.document.macroEnabled.main+xml",
        "application/vnd.ms-office.vbaProject",
        "application/vnd.ms-excel.macrosheet+xml",
        "application/vnd.ms-office.activeX+xml",
        "text/html",
    ],
)
def test_a_content_type_that_acts_is_rejected(content_type):
    listed = types("/word/document.xml", content_type)

    assert verdict(archive(WORD | {"[Content_Types].xml": listed}), kind=DOCX) == "active_content"


@pytest.mark.parametrize(
    "content",
    [
        field("DDEAUTO c:\\\\windows\\\\system32\\\\cmd.exe"),
        field(" D", "D", "E excel x"),
        field("&#68;DE x y"),
        field("<![CDATA[dde]]> x y"),
        body('<w:fldSimple w:instr="DDE x y"/>'),
        body('<w:fldChar w:fldCharType="begin"/><w:instrText>DD</w:instrText>')
        .replace("</w:body>", "")
        .replace("</w:document>", "")
        + '<w:fldChar w:fldCharType="begin"/><w:instrText>QUOTE 1</w:instrText>'
        + '<w:fldChar w:fldCharType="end"/><w:instrText>E x</w:instrText></w:body></w:document>',
    ],
)
def test_dde_in_a_field_is_rejected_however_it_is_written(content):
    assert verdict(archive(WORD | {"word/header1.xml": content}), kind=DOCX) == "active_content"


@pytest.mark.parametrize(
    "parts",
    [
        {"xl/externalLinks/externalLink1.xml": "<externalLink><ddeLink/></externalLink>"},
        {"xl/connections.xml": '<connections><connection refreshOnLoad="1"/></connections>'},
        {"xl/worksheets/sheet2.xml": '<!DOCTYPE x [<!ENTITY a "b">]><worksheet/>'},
    ],
)
def test_a_workbook_that_fetches_is_rejected(parts):
    assert verdict(archive(SHEETS | parts), kind=XLSX) == "active_content"


def test_a_presentation_that_runs_programs_is_rejected():
    slide = '<sld><hlinkClick action="ppaction://program"/></sld>'

    assert (
        verdict(archive(SLIDES | {"ppt/slides/slide1.xml": slide}), kind=PPTX) == "active_content"
    )


def test_a_part_may_not_pretend_to_be_a_table():
    place = "xl/_rels/workbook.xml.rels"
    linked = relations(("externalLink", "worksheets/sheet1.xml", ""))
    listed = types(
        "/xl/workbook.xml",
        OFFICE + "spreadsheetml.sheet.main+xml",
        ("/xl/worksheets/sheet1.xml", OFFICE + "spreadsheetml.externalLink+xml"),
    )

    assert verdict(archive(SHEETS | {place: linked}), kind=XLSX) == "ambiguous"
    assert verdict(archive(SHEETS | {"[Content_Types].xml": listed}), kind=XLSX) == "ambiguous"


def test_a_table_has_to_be_utf8():
    table = '<?xml version="1.0" encoding="utf-7"?><worksheet/>'
    place = "xl/worksheets/sheet1.xml"

    assert verdict(archive(SHEETS | {place: table}), kind=XLSX) == "not_utf8"
    assert verdict(archive(SHEETS | {place: "<x/>".encode("utf-16")}), kind=XLSX) == "not_utf8"


def test_a_part_may_not_be_called_what_is_not_looked_into():
    main = OFFICE + "wordprocessingml.document.main+xml"
    hidden = {
        "[Content_Types].xml": types("/word/document.png", main),
        "_rels/.rels": relations(("officeDocument", "word/document.png", "")),
        "word/document.png": field("DDE x"),
    }

    assert verdict(archive(hidden), kind=DOCX) == "ambiguous"


@pytest.mark.parametrize("lacking", list(WORD))
def test_a_document_that_lacks_a_part_is_rejected(lacking):
    parts = {name: content for name, content in WORD.items() if name != lacking}

    assert verdict(archive(parts), kind=DOCX) == "malformed"


def test_a_document_of_another_kind_is_rejected():
    assert verdict(archive(SHEETS), kind=DOCX) == "other_type"
    assert verdict(archive(odf("text")), kind=ODS) == "other_type"


OTHERS = {
    OFFICE + "wordprocessingml.template.main+xml": ".dotx",
    OFFICE + "wordprocessingml.document.main+xml": ".docx",
    OFFICE + "spreadsheetml.template.main+xml": ".xltx",
    OFFICE + "presentationml.slideshow.main+xml": ".ppsx",
    OFFICE + "presentationml.template.main+xml": ".potx",
}
WITH_MACROS = {
    "application/vnd.ms-word.document.macroEnabled.main+xml": ".docm",
    "application/vnd.ms-word.template.macroEnabledTemplate.main+xml": None,
    "application/vnd.ms-excel.sheet.macroEnabled.main+xml": ".xlsm",
    "application/vnd.ms-excel.sheet.binary.macroEnabled.main": ".xlsb",
    "application/vnd.ms-powerpoint.slideshow.macroEnabled.main+xml": ".ppsm",
}


@pytest.mark.parametrize(("content_type", "extension"), OTHERS.items())
def test_a_template_or_another_document_is_called_by_its_name(content_type, extension):
    listed = types("/word/document.xml", content_type)
    content = archive(WORD | {"[Content_Types].xml": listed})

    with pytest.raises(Rejected, match=rf"\({extension}\).*Taken here: .xlsx") as caught:
        XLSX.inspector().feed(content)
    assert caught.value.reason == "other_type"


@pytest.mark.parametrize(("content_type", "extension"), WITH_MACROS.items())
def test_a_document_with_macros_is_called_by_its_name(content_type, extension):
    listed = types("/word/document.xml", content_type)

    with pytest.raises(Rejected, match=extension or "macros") as caught:
        DOCX.inspector().feed(archive(WORD | {"[Content_Types].xml": listed}))
    assert caught.value.reason == "active_content"


def test_a_workbook_may_list_its_relations_as_libreoffice_does():
    main = ("/xl/workbook.xml", OFFICE + "spreadsheetml.sheet.main+xml")
    rels = "application/vnd.openxmlformats-package.relationships+xml"
    sheet = ("/xl/worksheets/sheet1.xml", OFFICE + "spreadsheetml.worksheet+xml")
    place = "xl/worksheets/_rels/sheet1.xml.rels"
    listed = types(*main, sheet, (f"/{place}", rels))

    link = relations(("oleObject", "media/a.xml", ""))
    content = archive(SHEETS | {"[Content_Types].xml": listed, place: LINKS})
    acting = archive(SHEETS | {"[Content_Types].xml": listed, place: link})

    assert verdict(content, kind=XLSX) == "taken"
    assert verdict(acting, kind=XLSX) == "active_content"


def test_two_parts_may_not_differ_in_case_only():
    assert verdict(archive(WORD | {"Word/Document.xml": "<x/>"}), kind=DOCX) == "ambiguous"


@pytest.mark.parametrize("content", ["<w:p>", "text", "", "<a/><b/>", "<a:b/>"])
def test_a_part_that_is_no_xml_is_rejected(content):
    found = verdict(archive(WORD | {"word/styles.xml": content}), kind=DOCX)

    assert found in {"malformed", "truncated", "trailing_data"}


@pytest.mark.parametrize(
    "parts",
    [
        odf("text") | {"Basic/Standard/Module1.xml": "<x/>"},
        odf("text") | {"Object 1/Basic/script-lb.xml": "<x/>"},
        odf("text") | {"Scripts/python/a.py": "x"},
        odf("text", '<script:event-listener xlink:href="vnd.sun.star.script:a"/>'),
        odf("text", "<office:script/>"),
        odf("text", "<office:dde-source/>"),
        odf("text", "<text:dde-connection-decl/>"),
        odf("text", "<draw:applet/>"),
        odf("text", "<draw:plugin/>"),
        odf("text", '<draw:image xlink:href="https://example.com/a.png"/>'),
        odf("text", '<draw:image xlink:href="../a.png"/>'),
        odf("text", '<text:section-source xlink:href="//server/a.odt"/>'),
        odf("text", '<text:a xlink:href="javascript:alert(1)"/>'),
        odf("text", '<text:a xlink:href="vnd.sun.star.script:x"/>'),
        odf("text", '<presentation:event-listener presentation:action="execute"/>'),
        odf(
            "text",
            manifest='<manifest:file-entry manifest:full-path="Object 1" '
            'manifest:media-type="application/vnd.sun.star.oleobject"/>',
        ),
    ],
)
def test_what_acts_in_an_opendocument_is_rejected(parts):
    assert verdict(archive(parts), kind=ODT) == "active_content"


def test_an_encrypted_opendocument_is_rejected():
    content = archive(odf("text", manifest="<manifest:encryption-data/>"))

    assert verdict(content, kind=ODT) == "encrypted"


def test_an_opendocument_begins_with_its_type():
    parts = odf("text")
    late = {"content.xml": parts.pop("content.xml"), **parts}

    assert not ODT.matches(archive(late))
    assert verdict(archive(late), kind=ODT) == "malformed"


def test_a_part_that_is_a_bomb_is_rejected():
    bomb = archive(WORD | {"word/media/a.xml": b"<a>" + b" " * 100_000_000 + b"</a>"})
    kind = docx_within(max_expanded=1_000)

    assert verdict(bomb, kind=DOCX) == "too_large_inside"
    assert verdict(archive(WORD | {"word/a.txt": b"x" * 1_000}), kind=kind) == "too_large_inside"


def test_too_many_parts_are_rejected():
    kind = odt_within(max_entries=10)
    many = odf("text") | {f"Pictures/{number}.png": "x" for number in range(9)}

    assert verdict(archive(many), kind=kind) == "too_many_entries"


def test_elements_that_are_too_deep_are_rejected():
    assert verdict(archive(WORD | {"word/a.xml": b"<a>" * 300}), kind=DOCX) == "too_deep"


def test_more_xml_than_is_read_in_seconds_is_rejected(monkeypatch):
    monkeypatch.setattr("roadworthy.uploads.types.office.parts_inspector._MAX_ELEMENTS", 1_000)
    half = b"<a>" + b"<b/>" * 600 + b"</a>"

    assert verdict(archive(WORD | {"word/a.xml": half}), kind=DOCX) == "taken"
    both = archive(WORD | {"word/a.xml": half, "word/b.xml": half})
    assert verdict(both, kind=DOCX) == "too_many_entries"


def test_a_tag_that_never_ends_is_rejected_in_time():
    long = archive(WORD | {"word/a.xml": b"<a b='" + b"x" * 60_000_000})

    assert verdict(long, *range(0, len(long), 100), kind=DOCX) == "too_long"
    assert seconds(long, kind=DOCX) < 5

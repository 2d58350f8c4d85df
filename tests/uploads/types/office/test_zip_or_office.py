"""A document is told by its main part, whatever comes first, and macros are never an archive."""

import io
import random
import zipfile

import docx
import openpyxl
import pptx
import pytest

from support.sample_files import zip_of
from uploads.kinds import WAYS

OPC = "http://schemas.openxmlformats.org/"
OFFICE = "application/vnd.openxmlformats-officedocument."
KINDS = {
    "docx": ("word/document.xml", "wordprocessingml.document"),
    "xlsx": ("xl/workbook.xml", "spreadsheetml.sheet"),
    "pptx": ("ppt/presentation.xml", "presentationml.presentation"),
}
NOISE = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz", k=9000))
ALL = ("office", "office-reversed", "office-zip", "zip-office", "everything")


def document(kind, *first, note="", more=(), method=zipfile.ZIP_DEFLATED, late=False, main=None):
    """Make a document whose parts stand in this order."""
    path, name = KINDS[kind]
    content_type = main or f"{OFFICE}{name}.main+xml"
    types = (
        f'<Types xmlns="{OPC}package/2006/content-types"><!-- {note} -->'
        f'<Override PartName="/{path}" ContentType="{content_type}"/></Types>'
    )
    relations = (
        f'<Relationships xmlns="{OPC}package/2006/relationships"><Relationship Id="r" Type="{OPC}'
        f'officeDocument/2006/relationships/officeDocument" Target="{path}"/></Relationships>'
    )
    parts = [("[Content_Types].xml", types), ("_rels/.rels", relations), (path, "<a/>")]
    parts = [*first, *(reversed(parts) if late else parts), *more]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for part, content in parts:
            archive.writestr(part, content)
    return file.getvalue()


FIRST = [
    (),
    (("customXml/item1.xml", f"<a>{NOISE}</a>"),),
    (("docProps/thumbnail.jpeg", NOISE * 2),),
    (("word/media/x.png", NOISE), ("xl/media/y.png", "x"), ("ppt/media/z.png", "x")),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("late", [False, True])
def test_a_document_is_told_whatever_comes_first(kinds, kind, first, method, late):
    content = document(kind, *first, note=NOISE, method=method, late=late)
    media_type = OFFICE + KINDS[kind][1]

    assert {kinds.send(route, content).told for route in (kind, *ALL)} == {media_type}
    for way in WAYS:
        for declared in (media_type, "application/zip", "application/octet-stream"):
            told = kinds.send("zip-office", content, declared=declared, way=way).told
            assert told == media_type, (way, declared)
    others = set(KINDS) - {kind}
    assert {str(kinds.send(other, content)) for other in others} == {"422 other_type"}
    assert str(kinds.send("office", content, declared="application/pdf")) == "415 contradicts"


def test_another_document_than_declared_contradicts(kinds):
    content = document("pptx", FIRST[1][0])

    declared = OFFICE + KINDS["docx"][1]
    assert str(kinds.send("office", content, declared=declared)) == "415 contradicts"


MACROS = [
    {"more": (("ppt/vbaProject.bin", "x"),)},
    {"more": (("ppt/embeddings/oleObject1.bin", "x"),)},
    {"main": "application/vnd.ms-powerpoint.presentation.macroEnabled.main+xml"},
    {"main": "application/vnd.ms-powerpoint.template.macroEnabled.main+xml"},
]


@pytest.mark.parametrize("macros", MACROS)
@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("declared", [None, "application/zip"])
def test_a_document_with_macros_is_never_kept_as_an_archive(kinds, macros, first, late, declared):
    content = document("pptx", *first, note=NOISE, late=late, **macros)

    told = {str(kinds.send(r, content, declared=declared)) for r in (*ALL, "pptx", "pptx-zip")}
    assert told == {"422 active_content"}


@pytest.mark.parametrize("route", ["office-zip", "zip-office", "pptx-zip", "everything", "zip"])
def test_an_archive_stays_an_archive(kinds, route):
    inner = document("docx", more=(("word/vbaProject.bin", "x"),))
    for members in (
        {"a.docx": inner, "b.txt": b"b"},
        {"index.html": b"<p>", "setup.exe": b"MZ", "vbaProject.bin": b"x"},
        {"[Content_Types].xml": b"no XML", "a.nuspec": b"<a/>", "lib/a.dll": b"MZ"},
    ):
        assert kinds.send(route, zip_of(members)).told == "application/zip"


def test_an_archive_is_of_no_type_where_only_documents_are_taken(kinds):
    assert str(kinds.send("office", zip_of({"a.txt": b"a"}))) == "415 not_taken"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("declared", ["application/zip", "application/x-zip-compressed", "", "*/*"])
def test_what_real_libraries_write_is_taken_as_a_zip_is_declared(kinds, kind, declared):
    made = {"docx": docx.Document, "xlsx": openpyxl.Workbook, "pptx": pptx.Presentation}[kind]()
    file = io.BytesIO()
    made.save(file)

    for way in WAYS:
        found = kinds.send("documents-office", file.getvalue(), declared=declared or None, way=way)
        assert found.told == OFFICE + KINDS[kind][1]


def opendocument(media_type, *, macros=False, first=True):
    """Make a file of OpenDocument whose first bytes may not say so."""
    root = f'm:full-path="/" m:media-type="{media_type}"'
    space = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
    parts = [
        ("mimetype", media_type),
        ("content.xml", "<a/>"),
        ("META-INF/manifest.xml", f'<m:m xmlns:m="{space}"><m:f {root}/></m:m>'),
    ]
    parts += [("Basic/Standard/Module1.xml", "<a/>")] if macros else []
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts if first else parts[::-1]:
            archive.writestr(name, content)
    return file.getvalue()


ODF = "application/vnd.oasis.opendocument."


@pytest.mark.parametrize("route", ["odf-zip", "office-zip", "zip-office", "everything"])
@pytest.mark.parametrize("macros", [False, True])
@pytest.mark.parametrize(
    ("kind", "first", "name"),
    [
        ("text", False, "(.odt)"),
        ("spreadsheet", False, "(.ods)"),
        ("text-template", True, "(.ott)"),
        ("presentation-template", False, "(.otp)"),
        ("graphics", True, "(.odg)"),
    ],
)
def test_opendocument_that_is_not_taken_is_no_archive(kinds, route, macros, kind, first, name):
    answer = kinds.send(route, opendocument(ODF + kind, macros=macros, first=first))

    assert str(answer) == "422 other_type"
    assert name in answer.message


def test_opendocument_is_an_archive_where_only_archives_are_taken(kinds):
    content = opendocument(ODF + "text-template")

    assert kinds.send("zip", content).told == "application/zip"
    assert kinds.send("odf-zip", opendocument(ODF + "text")).told == ODF + "text"
    assert str(kinds.send("odf-zip", opendocument(ODF + "text", macros=True))) == (
        "422 active_content"
    )


def test_a_document_of_another_office_is_no_archive_either(kinds):
    answer = kinds.send("odf-zip", document("docx", more=(("word/vbaProject.bin", "x"),)))

    assert answer.status == 422

"""What clients declare a file to be contradicts its bytes only where it is another type."""

import io

import pytest

from support.sample_files import jpeg, pdf, png
from uploads.kinds import WAYS

CSV = b"a,b\r\n1,2\r\n"
TEXT = b"# A note, and more of it\n"
JSON = b'{"type": "Feature"}'
LINES = b'{"a":1}\n{"a":2}\n'
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
UNKNOWN = """
application/octet-stream binary/octet-stream application/x-download application/force-download
application/download application/unknown application/x-unknown unknown/unknown */*
BINARY/Octet-Stream undefined
""".split()  # noqa: SIM905
PARAMETERS = ["binary/octet-stream; charset=binary", "*/*; q=0.8", "Application/Unknown;x=y"]
NAMES = {
    ("csv", CSV): """text/csv text/comma-separated-values text/x-csv application/x-csv text/plain
        application/csv text/x-comma-separated-values application/vnd.ms-excel TEXT/CSV
        text/plain;charset=utf-8 text/* text/tab-separated-values""",
    ("text", TEXT): """text/plain text/markdown text/x-markdown text/x-log text/x-python text/*
        application/x-yaml application/yaml text/yaml text/vnd.graphviz""",
    ("json", JSON): """application/json application/geo+json application/ld+json text/json
        application/manifest+json model/gltf+json application/* APPLICATION/GEO+JSON""",
    ("ndjson", LINES): """application/x-ndjson application/ndjson application/json-lines
        application/jsonl application/x-jsonlines application/jsonlines text/x-ndjson""",
    ("svg", SVG): "image/svg+xml text/xml application/xml image/*",
    ("png", png()): "image/png image/x-png image/apng image/* IMAGE/PNG",
    ("jpeg", jpeg()): "image/jpeg image/jpg image/pjpeg image/*",
    ("pdf", pdf()): "application/pdf application/x-pdf application/acrobat application/*",
}
CONTRADICTIONS = [
    ("documents", pdf(), "image/*"),
    ("documents", pdf(), "image/png"),
    ("documents", png(), "image/jpeg"),
    ("documents", png(), "application/pdf"),
    ("documents", png(), "text/*"),
    ("csv", CSV, "image/png"),
    ("csv", CSV, "text/markdown"),
    ("json", JSON, "application/xml"),
    ("svg", SVG, "image/png"),
    ("text", TEXT, "application/json"),
    ("text", TEXT, "application/zip"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("declared", [*UNKNOWN, *PARAMETERS])
def test_what_means_unknown_contradicts_nothing(kinds, declared, way):
    content = pdf() if way == "multipart" else png()

    assert kinds.send("documents", content, declared=declared, way=way).status == 201


@pytest.mark.parametrize("declared", UNKNOWN)
def test_the_bytes_decide_where_the_client_does_not_know(kinds, declared):
    assert str(kinds.send("documents", TEXT, declared=declared)) == "415 not_taken"


@pytest.mark.parametrize(
    ("route", "content", "declared"),
    [(*key, name) for key, names in NAMES.items() for name in names.split()],
)
def test_a_type_is_taken_under_all_of_its_names(kinds, route, content, declared):
    for way in WAYS:
        found = kinds.send(route, content, declared=declared, way=way)
        assert found.status == 201, (way, found)


@pytest.mark.parametrize(("route", "content", "declared"), CONTRADICTIONS)
def test_another_type_contradicts(kinds, route, content, declared):
    for way in WAYS:
        found = kinds.send(route, content, declared=declared, way=way)
        # A resumable upload says it beforehand, where nothing of that type is taken at all.
        assert str(found) in {"415 contradicts", "415 not_taken"}, way
    told = kinds.send(route, content, declared=declared)
    assert str(told) == "415 contradicts"
    assert "declared" in told.message


@pytest.mark.parametrize("route", ["csv-text", "text-csv"])
def test_a_text_stays_a_text_beside_csv_where_it_is_declared_as_one(kinds, route):
    for content in (TEXT, CSV):
        assert kinds.send(route, content, declared="text/plain").told == "text/plain"
        assert kinds.send(route, content, declared="text/markdown").told == "text/plain"
    for declared in ("text/csv", "text/comma-separated-values", "application/vnd.ms-excel", ""):
        assert kinds.send(route, CSV, declared=declared or None).told == "text/csv"


@pytest.mark.parametrize("content", [SVG, b"<p>x</p>", b"#!/bin/sh\n", b"\x7fELF\2", png(), b"\0a"])
@pytest.mark.parametrize("declared", ["text/markdown", "text/plain", "application/yaml", None])
@pytest.mark.parametrize("route", ["text", "csv", "json"])
def test_what_is_no_text_is_none_whatever_it_is_called(kinds, content, declared, route):
    assert kinds.send(route, content, declared=declared).status in {415, 422}


@pytest.mark.parametrize(
    "declared", ["application/vnd.ms-excel", "application/msexcel", "application/zip", None]
)
def test_a_workbook_is_one_also_where_csv_has_the_same_name(kinds, declared):
    openpyxl = pytest.importorskip("openpyxl")
    file = io.BytesIO()
    openpyxl.Workbook().save(file)

    assert "spreadsheetml" in kinds.send("csv-xlsx", file.getvalue(), declared=declared).told


def test_a_type_can_be_given_more_names():
    from roadworthy.uploads.types import TEXT as KIND

    named = KIND.called("application/sql", "application/x-*")

    assert not KIND.is_called("application/sql")
    assert named.is_called("application/sql; charset=utf-8")
    assert named.is_called("application/x-httpd-eruby")
    assert named.is_called("text/markdown")


def test_a_message_says_which_types_are_taken_and_what_the_file_is(kinds):
    assert "application/pdf (.pdf)" in kinds.send("documents", TEXT).message
    assert "image/png (.png)" in kinds.send("documents", png(), declared="application/pdf").message

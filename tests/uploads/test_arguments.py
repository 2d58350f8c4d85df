"""What a developer writes wrong of uploads is refused where it is written."""

from datetime import timedelta
from inspect import Parameter, signature

import pytest

from roadworthy.uploads import Direct, Disk, Files, FileType, MiB, Upload, types
from roadworthy.uploads.images import Reencode
from roadworthy.uploads.resumable import Resumable
from roadworthy.uploads.scan import ClamAV
from roadworthy.uploads.stores.objects import Objects
from roadworthy.uploads.types import PDF, PNG, pdf_within

GOOD = {"max_bytes": 5 * MiB, "accept": (PDF,)}
UPLOAD = Upload(**GOOD)
SECRET = bytes(32)
MAKERS = [
    getattr(types, name)
    for name in types.__all__
    if callable(getattr(types, name)) and not isinstance(getattr(types, name), type | FileType)
]
LIMITS = [
    (make, name) for make in MAKERS for name in signature(make).parameters if name != "attachments"
]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("max_bytes", "5"),
        ("max_bytes", 5.5),
        ("max_bytes", 0),
        ("max_bytes", -1),
        ("max_bytes", True),
        ("max_bytes", None),
        ("accept", PDF),
        ("accept", ()),
        ("accept", ("application/pdf",)),
        ("accept", "application/pdf"),
        ("accept", [pdf_within]),
        ("max_files", "3"),
        ("max_files", 0),
        ("max_total_bytes", "50"),
        ("max_total_bytes", 0),
        ("field", None),
        ("field", ""),
        ("field", b"file"),
        ("max_fields", "32"),
        ("max_fields", -1),
        ("max_field_bytes", 1.5),
        ("timeout", 3600),
        ("timeout", timedelta(0)),
        ("idle", 15),
        ("idle", timedelta(seconds=-1)),
        ("min_rate", "1024"),
        ("min_rate", -1),
        ("checks", ClamAV("tcp://127.0.0.1:3310")),
        ("checks", [ClamAV]),
        ("checks", ["clamav"]),
        ("conversions", Reencode()),
        ("conversions", {"image/png": Reencode()}),
        ("conversions", {PNG: "webp"}),
        ("prefix", None),
        ("messages", "Nein."),
        ("messages", {"empty": 1}),
        ("messages", {"de": {"empty": "Leer."}}),
        ("files", Files(Disk("files"))),
        ("files", "files"),
    ],
)
def test_a_wrong_term_of_an_upload_is_named(name, wrong):
    with pytest.raises((TypeError, ValueError), match=rf"{name}\b"):
        Upload(**{**GOOD, name: wrong})


def test_every_term_of_an_upload_is_tried_above():
    [mark] = test_a_wrong_term_of_an_upload_is_named.pytestmark
    tried = {name for name, _ in mark.args[1]}

    assert tried == set(signature(Upload).parameters)


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (lambda: Files("var/files"), "Disk"),
        (lambda: Files(Disk), "store"),
        (lambda: Files(Disk("files"), max_in_flight="16"), "max_in_flight"),
        (lambda: Files(Disk("files"), unfinished_for=86400), "unfinished_for"),
        (lambda: Disk(None), "directory"),
        (lambda: Disk("files", min_free="1 GiB"), "min_free"),
        (lambda: Disk("files", threads=0), "threads"),
        (lambda: Objects(None), "url"),
        (lambda: Objects("s3://b", timeout=30), "timeout"),
        (lambda: Objects("s3://b", part_bytes="8 MiB"), "part_bytes"),
        (lambda: Objects("s3://b", part_bytes=1024), "part_bytes"),
        (lambda: Objects("s3://b", config="endpoint"), "config"),
        (lambda: Objects("s3://b", allow_http="yes"), "allow_http"),
        (lambda: Direct(PDF, secret=SECRET), "upload"),
        (lambda: Direct(UPLOAD, secret="s" * 32), "secret"),
        (lambda: Direct(UPLOAD, secret=b"short"), "secret"),
        (lambda: Direct(UPLOAD, secret=SECRET, expires=900), "expires"),
        (lambda: Resumable(PDF, path="/a"), "upload"),
        (lambda: Resumable(UPLOAD, path="a"), "path"),
        (lambda: Resumable(UPLOAD, path="/a/"), "path"),
        (lambda: Resumable(UPLOAD, path=None), "path"),
        (lambda: Resumable(UPLOAD, path="/a", owner="ann"), "owner"),
        (lambda: ClamAV(3310), "address"),
        (lambda: ClamAV("tcp://127.0.0.1:3310", timeout=60), "timeout"),
        (lambda: ClamAV("tcp://127.0.0.1:3310", connect_timeout=5), "connect_timeout"),
        (lambda: ClamAV("tcp://127.0.0.1:3310", required="no"), "required"),
        (lambda: Reencode(max_side="2048"), "max_side"),
        (lambda: Reencode(max_pixels=0), "max_pixels"),
        (lambda: Reencode(max_memory="768 MiB"), "max_memory"),
        (lambda: Reencode(max_bytes=1.5), "max_bytes"),
        (lambda: Reencode(timeout=20), "timeout"),
        (lambda: Reencode(at_once=0), "at_once"),
        (lambda: FileType("png", ".png", bytes.isalpha, object), "media type"),
        (lambda: FileType("image/png", "png", bytes.isalpha, object), "extension"),
        (lambda: FileType("image/png", ".png", b"PNG", object), "matches"),
        (lambda: FileType("image/png", ".png", bytes.isalpha, object()), "inspector"),
        (lambda: FileType("image/png", ".png", bytes.isalpha, object, "image/x-png"), "aliases"),
        (lambda: PNG.called(None), "aliases"),
        (lambda: pdf_within(attachments="text/xml"), "attachments"),
        (lambda: pdf_within(attachments=[None]), "attachments"),
    ],
)
def test_a_wrong_argument_is_named_where_it_is_written(write, name):
    with pytest.raises((TypeError, ValueError), match=rf"{name}\b"):
        write()


@pytest.mark.parametrize(("make", "name"), LIMITS)
@pytest.mark.parametrize("wrong", ["5", None, -1, True, timedelta(1)])
def test_a_wrong_limit_of_a_type_is_named(make, name, wrong):
    with pytest.raises((TypeError, ValueError), match=rf"{name}\b.*: write {name}="):
        make(**{name: wrong})


def test_limits_are_written_by_name():
    kinds = {each.kind for make in MAKERS for each in signature(make).parameters.values()}

    assert len(LIMITS) > 30
    assert kinds == {Parameter.KEYWORD_ONLY}

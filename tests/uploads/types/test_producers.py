"""Files of the programs that people use are taken, and their hostile variants are not."""

import io
import zipfile

import pikepdf
import pytest

from roadworthy.uploads import types
from support import judging, producers
from support.sample_files import pdf_that, pixel_bomb, zip_bomb, zip_of

KINDS = {
    kind.extension: kind
    for name in types.__all__
    if isinstance(kind := getattr(types, name), types.FileType)
}


def kind_of(name: str) -> types.FileType:
    suffix = "." + name.rpartition(".")[2]
    return types.GZIP if name.endswith(".tar.gz") else KINDS[suffix]


def verdict(name: str, content: bytes, *cuts: int) -> str:
    kind = kind_of(name)
    return judging.verdict(content, *cuts, kind=kind) if kind.matches(content) else "no match"


@pytest.mark.parametrize("producer", producers.FILES)
def test_what_a_producer_makes_is_taken(kinds, producer):
    files = producers.FILES[producer]()
    directly = {name: verdict(name, content) for name, content in files.items()}
    cut = {
        name: verdict(name, content, *range(0, 99_999, 9_777)) for name, content in files.items()
    }
    sent = {name: kinds.send("everything", content) for name, content in files.items()}

    assert directly == cut == dict.fromkeys(files, "taken")
    assert {name: one.message for name, one in sent.items() if one.status != 201} == {}


def test_there_are_ten_producers_and_more():
    assert len(producers.FILES) >= 10
    assert len(producers.made()) >= 60


# --- hostile variants of the same files -----------------------------------------------


def with_entry(content: bytes, name: str, data: bytes) -> bytes:
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(name, data, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def with_action(content: bytes) -> bytes:
    launch = pikepdf.Dictionary(S=pikepdf.Name.Launch, F=pikepdf.String("calc.exe"))
    with pikepdf.open(io.BytesIO(content)) as document:
        document.Root.OpenAction = document.make_indirect(launch)
        document.save(file := io.BytesIO(), object_stream_mode=pikepdf.ObjectStreamMode.generate)
    return file.getvalue()


def hostile(name: str, content: bytes) -> dict[str, bytes]:
    """Return what may be made of a file, by what is done to it."""
    suffix = name.rpartition(".")[2]
    found = {"a ZIP after it": content + zip_of({"a.txt": b"a"})}
    if suffix in {"docx", "xlsx", "pptx"}:
        folder = {"docx": "word", "xlsx": "xl", "pptx": "ppt"}[suffix]
        found["macros"] = with_entry(content, f"{folder}/vbaProject.bin", b"\xd0\xcf\x11\xe0")
    if suffix in {"docx", "xlsx", "pptx", "zip"}:
        found["a name that climbs"] = with_entry(content, "../../a.txt", b"a")
    if suffix == "pdf":
        found["an action"] = with_action(content)
    return found


@pytest.mark.parametrize("producer", [name for name in producers.FILES if name != "csv-and-json"])
def test_a_hostile_variant_of_what_a_producer_makes_is_refused(producer):
    files = producers.FILES[producer]()
    found = {
        (name, done): verdict(name, content)
        for name, whole in files.items()
        for done, content in hostile(name, whole).items()
    }

    assert found
    assert [one for one, told in found.items() if told == "taken"] == []


@pytest.mark.parametrize(
    ("name", "make", "reason"),
    [
        ("a.pdf", lambda: pdf_that("Launch"), "active_content"),
        ("a.pdf", lambda: pdf_that("JavaScript"), "active_content"),
        ("a.png", pixel_bomb, "too_many_pixels"),
        ("a.zip", lambda: zip_bomb(2**28), "too_large_inside"),
    ],
)
def test_a_bomb_or_an_action_is_refused_by_its_name(name, make, reason):
    assert verdict(name, make()) == reason

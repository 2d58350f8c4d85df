"""A gzip file is taken if it is whole, no bomb, and nothing in it climbs out."""

import gzip
import io
import tarfile
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.uploads.types.gzip import GZIP, gzip_within
from roadworthy.uploads.types.inspecting.filetype import Rejected

TEXT = b"all kinds of text, " * 50
PLAIN = gzip.compress(TEXT, mtime=0)


def tar_of(*entries: tarfile.TarInfo, form: int = tarfile.PAX_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for entry in entries:
            archive.addfile(entry, io.BytesIO(b"x" * entry.size))
    return gzip.compress(file.getvalue(), mtime=0)  # the same in every process of a test run


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0):
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, target, size
    return made


def verdict(content: bytes, *cuts: int, kind=GZIP) -> str:
    inspector = kind.inspector()
    places = [0, *sorted(cut % (len(content) + 1) for cut in cuts), len(content)]
    try:
        for start, end in pairwise(places):
            inspector.feed(memoryview(content)[start:end])
        inspector.finish()
    except Rejected as rejected:
        return rejected.reason
    return "taken"


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        gzip.compress(b"", mtime=0),
        PLAIN + PLAIN,
        PLAIN + b"\0" * 512,
        gzip.compress(b"x" * 600, mtime=0),
        tar_of(entry("a/b.txt", size=700), entry("c", size=3)),
        tar_of(entry("n" * 300, size=5), form=tarfile.PAX_FORMAT),
        tar_of(entry("n" * 300, size=5), form=tarfile.GNU_FORMAT),
        tar_of(entry("a/link", tarfile.SYMTYPE, "../b"), entry("b", size=1)),
        tar_of(entry("."), entry("./a", tarfile.DIRTYPE)),
    ],
)
def test_an_honest_file_is_taken(content):
    assert GZIP.matches(content)
    assert verdict(content) == "taken"


def test_a_file_that_is_cut_anywhere_is_rejected():
    assert {verdict(PLAIN[:end]) for end in range(3, len(PLAIN))} == {"truncated"}


@pytest.mark.parametrize("more", [b"x" * 20, b"PK\x03\x04" * 5, b"\0" * 20 + b"x"])
def test_bytes_after_the_end_are_rejected(more):
    assert verdict(PLAIN + more) == "trailing_data"


def test_a_wrong_checksum_is_rejected():
    assert verdict(PLAIN[:-8] + bytes(4) + PLAIN[-4:]) == "malformed"


def test_a_bomb_is_rejected_before_it_is_unpacked():
    bomb = gzip.compress(bytes(200 * 2**20), 9)

    assert verdict(bomb) == "too_large_inside"
    assert verdict(PLAIN, kind=gzip_within(max_expanded=100)) == "too_large_inside"


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize(
    "made",
    [
        entry("../out"),
        entry("a/../../out"),
        entry("/etc/passwd"),
        entry("a\\..\\..\\out"),
        entry("link", tarfile.SYMTYPE, "../out"),
        entry("link", tarfile.SYMTYPE, "/etc/passwd"),
        entry("link", tarfile.LNKTYPE, "../out"),
    ],
)
def test_what_climbs_out_is_rejected(form, made):
    assert verdict(tar_of(entry("a", size=3), made, form=form)) == "path_climbs_out"


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_a_long_name_that_climbs_out_is_rejected(form):
    assert verdict(tar_of(entry("n" * 150 + "/../../out"), form=form)) == "path_climbs_out"


def test_a_name_that_passes_through_a_link_is_rejected():
    through = tar_of(entry("a", tarfile.SYMTYPE, "b"), entry("a/c", size=1))

    assert verdict(through) == "path_climbs_out"


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_a_device_is_rejected(kind):
    assert verdict(tar_of(entry("device", kind))) == "special_file"


def test_too_many_entries_are_rejected():
    many = tar_of(*[entry(str(number)) for number in range(12)])

    assert verdict(many, kind=gzip_within(max_entries=10)) == "too_many_entries"


@given(st.lists(st.integers(0, 10**5), max_size=20))
def test_cuts_make_no_difference(cuts):
    climbing = tar_of(entry("a", size=700), entry("../out"))

    assert verdict(PLAIN + PLAIN, *cuts) == "taken"
    assert verdict(climbing, *cuts) == "path_climbs_out"


def with_header(flags: int, hidden: bytes) -> bytes:
    """A member with an extra field, a name or a comment, as `flags` says."""
    field = len(hidden).to_bytes(2, "little") + hidden if flags == 0x04 else hidden + b"\0"
    return PLAIN[:3] + bytes([flags]) + PLAIN[4:10] + field + PLAIN[10:]


@pytest.mark.parametrize("flags", [0x04, 0x08, 0x10])
def test_a_header_may_say_something(flags):
    assert verdict(with_header(flags, b"BC\x02notes.txt")) == "taken"


@pytest.mark.parametrize("flags", [0x04, 0x08, 0x10])
@pytest.mark.parametrize(
    "hidden", [b"%PDF-1.7", b"PK\x03\x04", b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c", b"<script>"]
)
def test_another_file_in_a_header_is_rejected(flags, hidden):
    assert verdict(with_header(flags, b"GZ" + hidden + b"1")) == "hidden_format"
    assert verdict(PLAIN + with_header(flags, b"GZ" + hidden + b"1"), 70, 90) == "hidden_format"


@pytest.mark.parametrize(("at", "magic"), [(128, b"DICM"), (257, b"ustar"), (0x8001, b"CD001")])
def test_a_format_that_begins_at_a_fixed_place_is_rejected(at, magic):
    hidden = b"\1" * (at - 12) + magic

    assert verdict(with_header(0x04, hidden)) == "hidden_format"

"""A ZIP is taken if all readers see the same in it, and it harms none who unpacks it."""

import io
import struct
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.uploads.types import ZIP, zip_within
from support import judging

LINK, FOLDER, PIPE, DEVICE = 0o120777, 0o040755, 0o010644, 0o020644
TEXT = b"all kinds of text, " * 20
LOCAL, CENTRAL, END, DESCRIPTOR = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x07\x08"


def verdict(content: bytes, *cuts: int, kind=ZIP) -> str:
    return judging.verdict(content, *cuts, kind=kind)


class Unseekable(io.BytesIO):
    """What a pipe is: sizes have to follow the contents."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: object) -> int:
        raise io.UnsupportedOperation

    def tell(self) -> int:
        raise io.UnsupportedOperation


def archive(
    entries: dict[str, bytes],
    *,
    method: int = zipfile.ZIP_DEFLATED,
    into: type[io.BytesIO] = io.BytesIO,
    zip64: bool = False,
    comment: bytes = b"",
) -> bytes:
    file = into()
    with zipfile.ZipFile(file, "w", method) as made:
        made.comment = comment
        for name, content in entries.items():
            with made.open(name, "w", force_zip64=zip64) as entry:
                entry.write(content)
    return file.getvalue()


def moded(*entries: tuple[str, int, bytes]) -> bytes:
    """An archive of entries that say what they are on Unix."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, mode, content in entries:
            entry = zipfile.ZipInfo(name)
            entry.create_system, entry.external_attr = 3, mode << 16
            made.writestr(entry, content)
    return file.getvalue()


def by_hand(  # so that it can say one thing and hold another
    name: bytes = b"a",
    content: bytes = b"abc",
    *,
    listed: bytes | None = None,
    flags: int = 0,
    method: int = 0,
    size: int | None = None,
    listed_size: int | None = None,
    extra: bytes = b"",
    listed_extra: bytes = b"",
    remark: bytes = b"",
    gap: bytes = b"",
    offset: int = 0,
    copies: int = 1,
    count: int = 1,
    disk: int = 0,
    comment: bytes = b"",
) -> bytes:
    name_there = name if listed is None else listed
    size = len(content) if size is None else size
    size_there = size if listed_size is None else listed_size
    crc, packed = zlib.crc32(content), len(content)
    common = struct.pack("<HHHHHIII", 20, flags, method, 0, 33, crc, packed, size)
    there = struct.pack("<HHHHHIII", 20, flags, method, 0, 33, crc, packed, size_there)
    local = LOCAL + common + struct.pack("<HH", len(name), len(extra)) + name + extra + content
    lengths = struct.pack(
        "<HHHHHII", len(name_there), len(listed_extra), len(remark), 0, 0, 0, offset
    )
    central = CENTRAL + b"\x14\0" + there + lengths + name_there + listed_extra + remark
    central *= copies
    numbers = disk, disk, count, count, len(central), len(local + gap), len(comment)
    return local + gap + central + END + struct.pack("<HHHHIIH", *numbers) + comment


def two(first: bytes, second: bytes) -> bytes:
    """An archive of the entries of two that hold one each."""
    entries = [content[: content.index(CENTRAL)] for content in (first, second)]
    listed = [content[content.index(CENTRAL) : content.index(END)] for content in (first, second)]
    moved = listed[1][:42] + struct.pack("<I", len(entries[0])) + listed[1][46:]
    held = b"".join(entries)
    directory = listed[0] + moved
    return (
        held + directory + END + struct.pack("<HHHHIIH", 0, 0, 2, 2, len(directory), len(held), 0)
    )


PLAIN = archive({"a.txt": TEXT, "folder/b.txt": b"b"})

HONEST = {
    "deflated": PLAIN,
    "stored": archive({"a.txt": TEXT, "b": b""}, method=zipfile.ZIP_STORED),
    "bzip2": archive({"a.txt": TEXT}, method=zipfile.ZIP_BZIP2),
    "LZMA": archive({"a.txt": TEXT}, method=zipfile.ZIP_LZMA),
    "empty": archive({}),
    "empty with a comment": archive({}, comment=b"nothing"),
    "folders": archive({"folder/": b"", "folder/a/b/c.txt": b"c"}),
    "comment": archive({"a.txt": TEXT}, comment=b"A comment."),
    "unicode": archive({"Müller/日本語.txt": TEXT, "é": b"x"}),
    "zip64": archive({"a.txt": TEXT, "b": b"b"}, zip64=True),
    "streamed": archive({"a.txt": TEXT, "b": b""}, into=Unseekable),
    "streamed and stored": archive(
        {"a.txt": TEXT, "b": DESCRIPTOR * 9}, into=Unseekable, method=zipfile.ZIP_STORED
    ),
    "streamed zip64": archive({"a.txt": TEXT}, into=Unseekable, zip64=True),
    "in another": archive({"inner.zip": PLAIN}, method=zipfile.ZIP_STORED),
    "dots": archive({"..a": b"a", "a..": b"a", "a/...b": b"b", "a b/.c": b"c"}),
    "a link": moded(("a/b.txt", 0o100644, b"b"), ("a/c", LINK, b"../a/b.txt"), ("d/", FOLDER, b"")),
    "a mode of all ones": moded(("META-INF/", 0xFFFF, b""), ("META-INF/a", 0xFFFF, b"a")),
    "by hand": by_hand(),
}


@pytest.mark.parametrize("content", HONEST.values(), ids=HONEST)
def test_an_honest_archive_is_taken(content):
    assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None
    assert ZIP.matches(content)
    assert verdict(content) == judging.byte_by_byte(content, kind=ZIP) == "taken"


@given(st.lists(st.integers(0, 10**5), max_size=20))
def test_cuts_make_no_difference(cuts):
    assert verdict(HONEST["unicode"], *cuts) == "taken"
    assert verdict(HONEST["streamed"], *cuts) == "taken"
    assert verdict(HONEST["streamed and stored"], *cuts) == "taken"
    assert verdict(archive({"a": TEXT, "../b": b"b"}), *cuts) == "path_climbs_out"
    assert verdict(PLAIN + b"x" * 40, *cuts) == "trailing_data"


@pytest.mark.parametrize("kind", sorted(HONEST))
def test_an_archive_that_is_cut_anywhere_is_rejected(kind):
    found = judging.truncated(HONEST[kind], kind=ZIP)

    assert found - {"malformed"} == {"truncated"}  # a descriptor may be cut before the next record


@pytest.mark.parametrize(
    "more", [b"\0x", b"x", b"\nx", b"\0" * 40_000, PLAIN, HONEST["empty"], b"%PDF-1.7\n"]
)
@pytest.mark.parametrize("kind", ["deflated", "empty", "comment", "zip64"])
def test_bytes_after_the_end_are_rejected(kind, more):
    assert verdict(HONEST[kind] + more) == "trailing_data"


@pytest.mark.parametrize("before", [b"x", b"\0", b"MZ" + bytes(100), b"#!/bin/sh\n", b"GIF89a"])
def test_bytes_before_the_beginning_are_rejected(before):
    file = io.BytesIO(before)
    with zipfile.ZipFile(file, "a") as made:  # which makes its offsets fit
        made.writestr("a", TEXT)

    for content in (before + PLAIN, file.getvalue()):
        assert not ZIP.matches(content)
        assert verdict(content) != "taken"


def test_bytes_between_records_are_rejected():
    assert verdict(by_hand(gap=b"x")) == "malformed"
    assert verdict(by_hand(gap=b"%PDF-1.7\n")) == "malformed"
    assert verdict(PLAIN.replace(CENTRAL, b"x" + CENTRAL, 1)) == "malformed"
    assert verdict(PLAIN.replace(END, b"x" + END, 1)) == "malformed"


PDF, PHP, HTML = b"%PDF-1.4\n1 0 obj", b"<?php system($_GET[0]);", b"<script>alert(1)</script>"
FIELD = struct.pack("<HH", 0xCAFE, 40)


@pytest.mark.parametrize(
    "hidden", [PDF, PHP, HTML, PLAIN, b"Rar!\x1a\x07\0", b"7z\xbc\xaf\x27\x1c"]
)
def test_another_format_around_the_contents_is_rejected(hidden):
    field = FIELD + hidden.ljust(40)[:40]

    assert verdict(by_hand(comment=hidden)) in {"hidden_format", "ambiguous"}
    assert verdict(by_hand(remark=hidden)) == "hidden_format"
    assert verdict(by_hand(extra=field)) == "hidden_format"
    assert verdict(by_hand(listed_extra=field)) == "hidden_format"


@pytest.mark.parametrize("hidden", [PDF, PHP, HTML])
def test_another_format_in_a_name_is_rejected(hidden):
    assert verdict(by_hand(b"a " + hidden.replace(b"\n", b" "))) == "hidden_format"


def test_a_second_archive_in_the_comment_is_rejected():
    assert verdict(archive({"a": b"a"}, comment=PLAIN)) != "taken"
    assert verdict(archive({"a": b"a"}, comment=END + bytes(18))) != "taken"


CLIMBING = [
    "../out",
    "a/../../out",
    "a/..",
    "..",
    "/etc/passwd",
    "\\out",
    "..\\out",
    "a\\..\\..\\out",
]
CLIMBING += ["C:\\out", "c:out", "\\\\host\\share", "//host/share", "a/.. /out", "a/.../../out"]
CLIMBING += ["./../out", "..//out", "a/..\\out", "../" * 40 + "etc/passwd"]


@pytest.mark.parametrize("name", CLIMBING)
def test_a_path_that_climbs_out_is_rejected(name):
    assert verdict(by_hand(name.encode())) == "path_climbs_out"
    assert verdict(by_hand(name.encode(), flags=0x800)) == "path_climbs_out"
    assert verdict(by_hand(b"harmless", listed=name.encode())) == "path_climbs_out"


@pytest.mark.parametrize("name", CLIMBING)
def test_a_path_that_climbs_out_by_its_second_name_is_rejected(name):
    field = second_name(name.encode())

    assert verdict(by_hand(b"?", extra=field, listed_extra=field)) == "path_climbs_out"
    assert verdict(by_hand(b"?", listed_extra=field)) == "path_climbs_out"


@pytest.mark.parametrize("name", [b"a\0.txt", b"a\nb", b"\x1b[2J", b""])
def test_a_name_of_control_characters_is_rejected(name):
    assert verdict(by_hand(name)) == "malformed"


def test_a_name_that_is_not_utf_8_though_it_says_so_is_rejected():
    assert verdict(by_hand(b"\xff\xfe", flags=0x800)) == "malformed"
    assert verdict(by_hand(b"\xff\xfe")) == "taken"


@pytest.mark.parametrize("target", [b"../out", b"/etc/passwd", b"a/../../out", b"C:\\out", b""])
def test_a_link_that_leads_out_is_rejected(target):
    assert verdict(moded(("link", LINK, target))) == "path_climbs_out"


def test_an_entry_that_passes_through_a_link_is_rejected():
    assert verdict(moded(("a", LINK, b"b"), ("a/c", 0, b"c"))) == "path_climbs_out"
    assert verdict(moded(("A", LINK, b"b"), ("a/c", 0, b"c"))) == "path_climbs_out"


@pytest.mark.parametrize("mode", [PIPE, DEVICE, 0o060644, 0o140644])
def test_a_device_or_a_pipe_is_rejected(mode):
    assert verdict(moded(("thing", mode, b""))) == "special_file"


@pytest.mark.parametrize("flags", [0x01, 0x41, 0x2000])
def test_an_encrypted_entry_is_rejected(flags):
    assert verdict(by_hand(flags=flags)) == "encrypted"
    assert verdict(by_hand(method=99)) == "encrypted"


@pytest.mark.parametrize("method", [1, 6, 7, 10, 97, 200])
def test_a_method_that_cannot_be_judged_is_rejected(method):
    assert verdict(by_hand(method=method)) == "unsupported"


DIFFERING = {
    "another name": by_hand(listed=b"b"),
    "another size": by_hand(listed_size=4),
    "another place": by_hand(offset=5),
    "a size that is not its own": by_hand(size=9),
    "listed twice": by_hand(copies=2, count=2),
    "not listed": by_hand(copies=0, count=0),
    "listed, not counted": by_hand(count=0),
    "counted, not listed": by_hand(count=2),
    "on another disk": by_hand(disk=1),
}


@pytest.mark.parametrize("content", DIFFERING.values(), ids=DIFFERING)
def test_an_archive_that_contradicts_itself_is_rejected(content):
    assert verdict(content) in {"ambiguous", "malformed", "unsupported"}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("second", ["a", "b/../a"])
def test_two_entries_of_one_name_are_rejected(second):
    assert verdict(moded(("a", 0, b"one"), (second, 0, b"two"))) in {"ambiguous", "path_climbs_out"}


def second_name(name: bytes, *, first: bytes = b"?") -> bytes:
    """The field in which Info-ZIP puts what the name is in UTF-8."""
    data = b"\1" + struct.pack("<I", zlib.crc32(first)) + name
    return struct.pack("<HH", 0x7075, len(data)) + data


def test_a_second_name_is_for_what_the_first_cannot_say():
    field = second_name(b"\xc3\xa9.txt", first=b"?.txt")
    lying = second_name(b"evil.exe", first=b"a.txt")

    assert verdict(by_hand(b"?.txt", extra=field, listed_extra=field)) == "taken"
    assert verdict(by_hand(b"a.txt", extra=lying, listed_extra=lying)) == "ambiguous"


def test_two_entries_of_one_second_name_are_rejected():
    field = second_name(b"same", first=b"?1"), second_name(b"same", first=b"?2")

    assert verdict(two(by_hand(b"?1", listed_extra=field[0]), by_hand(b"?2"))) == "taken"
    assert (
        verdict(two(by_hand(b"?1", listed_extra=field[0]), by_hand(b"?2", listed_extra=field[1])))
        == "ambiguous"
    )


def test_an_entry_that_passes_through_a_link_by_its_second_name_is_rejected():
    link = moded(("a", LINK, b"b"))

    assert verdict(two(link, by_hand(b"?"))) == "taken"
    assert verdict(two(link, by_hand(b"?", listed_extra=second_name(b"a/b")))) == "path_climbs_out"


def test_an_extra_field_that_is_too_long_or_twice_is_rejected():
    wide = struct.pack("<HHQ", 1, 8, 3)

    assert verdict(by_hand(extra=b"\1\0\xff\xff")) == "malformed"
    assert verdict(by_hand(extra=wide * 2)) == "ambiguous"


def test_entries_that_overlap_are_rejected():
    one = by_hand()
    listed = one[one.index(CENTRAL) : one.index(END)]
    more = listed.replace(b"a", b"b")
    numbers = struct.pack("<HHHHIIH", 0, 0, 2, 2, 2 * len(listed), one.index(CENTRAL), 0)

    assert verdict(one[: one.index(END)] + more + END + numbers) == "ambiguous"


def test_content_that_is_not_what_its_checksum_says_is_rejected():
    stored = archive({"a": b"abcdef"}, method=zipfile.ZIP_STORED)

    assert verdict(stored.replace(b"abcdef", b"abcxef")) == "malformed"
    assert verdict(PLAIN[:40] + b"\xff" * 4 + PLAIN[44:]) == "malformed"


def test_a_bomb_is_rejected_before_it_is_unpacked():
    bomb = archive({"zeros": bytes(100 * 2**20)})

    assert verdict(bomb) == "too_large_inside"


def test_a_bomb_of_many_entries_is_rejected():
    zeros = {str(number): bytes(8 * 2**20) for number in range(12)}

    assert verdict(archive(zeros)) == "too_large_inside"
    assert verdict(archive(zeros, into=Unseekable)) == "too_large_inside"


def test_a_bomb_of_a_method_that_is_not_inflated_is_rejected_by_its_size():
    assert verdict(archive({"zeros": bytes(100 * 2**20)}, method=zipfile.ZIP_BZIP2)) == (
        "too_large_inside"
    )


def test_a_bomb_that_lies_about_its_size_is_rejected():
    packed = zlib.compress(bytes(2**20), wbits=-15)

    assert verdict(by_hand(b"a", packed, method=8, size=100)) == "malformed"


def test_limits_can_be_ones_own():
    assert verdict(PLAIN, kind=zip_within(max_expanded=len(TEXT) + 1)) == "taken"
    assert verdict(PLAIN, kind=zip_within(max_expanded=len(TEXT))) == "too_large_inside"
    assert verdict(PLAIN, kind=zip_within(max_entries=2)) == "taken"
    assert verdict(PLAIN, kind=zip_within(max_entries=1)) == "too_many_entries"


def test_a_directory_that_says_encrypted_is_rejected():
    at = PLAIN.index(CENTRAL) + 8
    changed = PLAIN[:at] + bytes([PLAIN[at] | 1]) + PLAIN[at + 1 :]

    assert verdict(changed) == "encrypted"


@given(st.integers(0, len(PLAIN) - 1), st.integers(1, 255))
def test_a_changed_byte_shows_nobody_something_else(at, change):
    changed = PLAIN[:at] + bytes([PLAIN[at] ^ change]) + PLAIN[at + 1 :]

    assert verdict(changed) != "taken" or contents(changed) in (None, contents(PLAIN))


def contents(content: bytes) -> list[bytes] | None:
    try:
        opened = zipfile.ZipFile(io.BytesIO(content))
        return [opened.read(entry) for entry in opened.infolist()]
    except NotImplementedError:  # it needs a later version, it says
        return None


def entry_of(name: bytes, extra: bytes = b"", flags: int = 0, content: bytes = b"") -> bytes:
    one = by_hand(name, content, extra=extra, flags=flags)
    return one[: one.index(CENTRAL)]


DEEP = b"a/" * 32_000
HOSTILE = {
    "entries": [entry_of(b"%d" % n) for n in range(50_000)],
    "long names": [entry_of(b"%d" % n + b"x" * 65_000) for n in range(64)],
    "deep names": [entry_of(DEEP + b"%d/x" % n) for n in range(64)],
    "climbing, almost": [entry_of(b"/.. ."[1:] * 13_000 + b"%d" % n) for n in range(64)],
    "extra fields": [entry_of(b"%d" % n, b"\xfe\xca\0\0" * 16_000) for n in range(64)],
    "false descriptors": [entry_of(b"a", b"", 8, DESCRIPTOR * 90_000)],
    "almost descriptors": [entry_of(b"a", b"", 8, b"PK\x07" * 1_300_000)],
    "remarks": [by_hand(remark=b"<script<?php%PDF" * 4000)],
}


@pytest.mark.parametrize("entries", HOSTILE.values(), ids=HOSTILE)
def test_hostile_repetition_takes_time_in_proportion(entries):
    whole = b"".join(entries)

    assert (
        judging.seconds(whole, kind=ZIP)
        < 3 * judging.seconds(whole[: len(whole) // 2], kind=ZIP) + 0.2
    )
    assert judging.seconds(whole[:1_000_000], kind=ZIP) < 2

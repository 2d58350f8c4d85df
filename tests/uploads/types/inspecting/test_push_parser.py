"""What editors and disks leave behind the end of a file is no second content."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadworthy.uploads import types
from support import producers
from support.judging import verdict

KINDS = {
    suffix: getattr(types, suffix.upper())
    for suffix in ("png", "gif", "webp", "zip", "docx", "xlsx", "pptx", "odt", "pdf")
}


@cache
def made(suffix: str) -> bytes:
    """Return the first file of a kind that a producer makes."""
    return next(
        content for name, content in producers.made().items() if name.endswith(f".{suffix}")
    )


@pytest.mark.parametrize("suffix", KINDS)
@given(
    filling=st.sampled_from([b"\n", b"\r\n", b"\0", b"\0" * 9, b"\n" + b"\0" * 99]),
    cuts=st.lists(st.integers(0, 10**6), max_size=4),
)
@settings(max_examples=20, deadline=None)
def test_zeros_and_ends_of_lines_are_passed_over(suffix, filling, cuts):
    assert verdict(made(suffix) + filling, *cuts, kind=KINDS[suffix]) == "taken"
    assert verdict(made(suffix) + filling + b"x", *cuts, kind=KINDS[suffix]) != "taken"


@pytest.mark.parametrize("suffix", [suffix for suffix in KINDS if suffix != "pdf"])
def test_more_than_a_disk_fills_up_is_rejected(suffix):
    content = made(suffix)

    assert verdict(content + bytes(32 * 1024), kind=KINDS[suffix]) == "taken"
    assert verdict(content + bytes(32 * 1024 + 1), kind=KINDS[suffix]) == "trailing_data"
    assert verdict(content + bytes(32 * 1024 + 1), 40, kind=KINDS[suffix]) == "trailing_data"


def test_zeros_behind_a_document_may_be_many():
    assert verdict(made("pdf") + bytes(100_000), kind=types.PDF) == "taken"
    cuts = range(0, len(made("pdf")) + 90_000, 999)
    assert verdict(made("pdf") + bytes(90_000), *cuts, kind=types.PDF) == "taken"

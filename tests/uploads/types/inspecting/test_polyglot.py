"""Other formats are found wherever they begin, and not where there is none."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.uploads.types.inspecting.filetype import Rejected
from roadworthy.uploads.types.inspecting.polyglot import ANYWHERE, PolyglotScan


def is_found(content: bytes, *cuts: int) -> bool:
    foreign = PolyglotScan(ANYWHERE)
    places = [0, *sorted(cut % (len(content) + 1) for cut in cuts), len(content)]
    try:
        for start, end in pairwise(places):
            foreign.look(memoryview(content)[start:end])
    except Rejected:
        return True
    return False


PHP = [
    b"<?phpinfo()?>",
    b"<?=$_GET[0]($_POST[1]);?>",
    b"<?= @system('id')",
    b"<?=(eval($x))",
    b"<?=`id`?>",
]


@pytest.mark.parametrize("hidden", PHP)
@given(cuts=st.lists(st.integers(0, 10**3), max_size=4))
def test_short_tags_of_php_are_found(hidden, cuts):
    assert is_found(b"\1" * 30 + hidden + b"\1" * 30, *cuts)


@pytest.mark.parametrize("content", [b"<?= 0", b"<?xpacket begin=", b"<?=\x93\x11\xc4", b"a <?= b"])
def test_three_bytes_that_occur_by_chance_are_no_php(content):
    assert not is_found(b"\1" * 30 + content + b"\1" * 30)


def test_nothing_is_found_in_noise():
    assert not is_found(random.Random(7).randbytes(2**24))

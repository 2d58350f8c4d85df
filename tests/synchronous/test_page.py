"""The page on synchronous services shows the code that these tests run."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent
AFTER = (HERE / "after.py").read_text()
PAGE = (HERE.parent.parent / "docs" / "how-to" / "synchronous.md").read_text()
MARK = "<!-- not run: a part of tests/synchronous/after.py -->\n```python\n"
BLOCKS = [block.partition("```")[0] for block in PAGE.split(MARK)[1:]]


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_what_the_page_shows_stands_in_the_service(block: str):
    code = {line.strip() for line in AFTER.splitlines()}

    assert [line for line in block.splitlines() if line.strip() not in code] == []

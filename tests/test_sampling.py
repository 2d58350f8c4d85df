"""Of the combinations of a sampled test, `make test` asks some, and each value in one of them."""

import subprocess
import sys
from itertools import product
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from support.sampling import sample

TESTS = """
import pytest
from support import sampling

@pytest.fixture(params=["sqlite", "postgresql"])
def database(request):
    return request.param

@pytest.mark.sampled
@pytest.mark.parametrize("kind", [{"a"}, {"b"}, {"c"}, {"d"}])
def test_sampled(database, kind):
    pass

@pytest.mark.parametrize("kind", ["a", "b"])
def test_whole(database, kind):
    pass

@pytest.mark.sampled
@pytest.mark.parametrize(("left", "right"), [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_pairs_of_one_list(left, right):
    pass

@pytest.mark.sampled
def test_without_parameters():
    pass
"""
HOOK = """
import pytest
from support import sampling

@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    sampling.mark_soaks(items)
"""


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_each_value_is_in_the_sample_and_few_combinations_are(sizes):
    combinations = list(product(*map(range, sizes)))

    kept = [combinations[number] for number in sample(combinations)]

    for place, size in enumerate(sizes):
        assert {one[place] for one in kept} == {*range(size)}
    assert len(kept) == max(sizes)


def test_values_take_turns():
    combinations = list(product("ab", range(10)))

    kept = [combinations[number] for number in sample(combinations)]

    assert [database for database, _ in kept].count("a") == 5


def test_what_was_left_out_already_is_not_missed():
    assert sample([("sqlite", 1), ("sqlite", 2), ("postgresql", 2)]) == {0, 1, 2} - {1}


def test_the_other_combinations_are_soaks(tmp_path: Path):
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "conftest.py").write_text(HOOK)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    sampled\n    soak\n")
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "not soak"]
    path = {"PYTHONPATH": str(Path(__file__).parent)}

    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env=path,
        capture_output=True,
        text=True,
        check=False,
    )

    names = [line.partition("::")[2].partition("[")[0] for line in done.stdout.splitlines()]
    count = {name: names.count(name) for name in names if name}
    assert count == {
        "test_sampled": 4,
        "test_whole": 4,
        "test_pairs_of_one_list": 4,
        "test_without_parameters": 1,
    }

"""Of a test with several lists of parameters, ask a few combinations in which each value appears.

`@pytest.mark.sampled` says that a test is about its parameters one by one. `make test` then asks
about as many combinations as the longest list has values, and `make test-all` each of them.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from itertools import groupby
from typing import Any

import pytest

__all__ = ["mark_soaks", "mostly_on", "sample"]

_DATABASES = ("sqlite", "postgresql")


def mostly_on(database: str, *, fixture: str = "database_url") -> pytest.MarkDecorator:
    """Ask a test on one database in `make test`, and on the other one in `make test-all`, too.

    For what takes long, and has a neighbour that is mostly asked on the other one.
    """
    (other,) = {*_DATABASES} - {database}
    both = [database, pytest.param(other, marks=pytest.mark.soak)]
    return pytest.mark.parametrize(fixture, both, indirect=True)


def mark_soaks(items: Iterable[pytest.Item]) -> None:
    """Mark as soaks the combinations of sampled tests that are not in the sample."""
    sampled = [item for item in items if _is_sampled(item)]
    # A fixture that several tests share puts their cases in another order.
    for _, group in groupby(sorted(sampled, key=_name), _name):
        cases = list(group)
        kept = sample([_values(case) for case in cases])
        for number, case in enumerate(cases):
            if number not in kept:
                case.add_marker(pytest.mark.soak)


def sample(combinations: Sequence[Sequence[Hashable]]) -> set[int]:
    """Return the numbers of a few combinations with each value that any has at its place.

    Values take turns: of ten that are combined with two, five are asked with each.
    """
    missing = {pair for one in combinations for pair in enumerate(one)}
    taken: Counter[tuple[int, Hashable]] = Counter()
    kept: set[int] = set()
    while missing:
        pairs = [list(enumerate(one)) for one in combinations]
        gains = [(len(missing & {*one}), -sum(taken[pair] for pair in one)) for one in pairs]
        best = gains.index(max(gains))
        kept.add(best)
        taken.update(pairs[best])
        missing -= {*pairs[best]}
    return kept


def _is_sampled(item: pytest.Item) -> bool:
    return hasattr(item, "callspec") and item.get_closest_marker("sampled") is not None


def _name(item: pytest.Item) -> str:
    return item.nodeid.partition("[")[0]


def _values(item: Any) -> list[Hashable]:
    """Return what a case has of each list of parameters: several names of one are one value."""
    # The very objects: most cannot be compared, and each is in its list once.
    given = {name: id(value) for name, value in item.callspec.params.items()}
    lists = [_names(mark.args[0]) for mark in item.iter_markers("parametrize")]
    alone = {*given} - {name for names in lists for name in names}
    return [tuple(given.get(name) for name in names) for names in [*lists, *zip(sorted(alone))]]


def _names(names: str | Sequence[str]) -> list[str]:
    return [name.strip() for name in names.split(",")] if isinstance(names, str) else [*names]

"""How long to wait before another attempt."""

from datetime import timedelta

import pytest

from roadworthy.jobs import Backoff

MANY = 200


def waits(backoff, attempt):
    return [backoff.after(attempt).total_seconds() for _ in range(MANY)]


@pytest.mark.parametrize(("attempt", "longest"), [(1, 2), (2, 6), (3, 18), (4, 54)])
def test_each_wait_is_longer_by_the_factor(attempt, longest):
    found = waits(Backoff(), attempt)

    assert longest / 2 <= min(found) <= max(found) <= longest


@pytest.mark.parametrize("attempt", [7, 50, 10_000])
def test_no_wait_is_longer_than_the_most(attempt):
    assert max(waits(Backoff(), attempt)) <= 15 * 60


def test_jobs_that_failed_together_do_not_come_back_together():
    found = waits(Backoff(first=timedelta(seconds=100), most=timedelta(seconds=100)), 1)

    assert len(set(found)) > MANY / 2
    assert max(found) - min(found) > 25


def test_it_may_be_no_wait_at_all():
    none = Backoff(first=timedelta(0), most=timedelta(0))

    assert waits(none, 3) == [0.0] * MANY


def test_a_factor_of_one_waits_the_same_each_time():
    same = Backoff(first=timedelta(seconds=8), factor=1)

    assert max(waits(same, 20)) <= 8


@pytest.mark.parametrize(
    "wrong",
    [
        {"first": timedelta(seconds=-1)},
        {"first": timedelta(hours=1)},
        {"factor": 0.5},
    ],
    ids=["negative", "first-over-most", "shrinking"],
)
def test_what_makes_no_sense_is_refused_with_an_example(wrong):
    with pytest.raises(ValueError, match=r"such as Backoff\(first=timedelta\(seconds=2\)"):
        Backoff(**wrong)

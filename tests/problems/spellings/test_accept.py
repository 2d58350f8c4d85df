"""`Accept` is read as RFC 9110 §12.5.1 says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.problems.spellings.choice import preferred_spelling

E, P = "envelope", "problem+json"
JSON, PROBLEM = "application/json", "application/problem+json"


@pytest.mark.parametrize(
    ("accept", "spelling"),
    [
        (PROBLEM, P),
        (JSON, E),
        # names have no case
        (PROBLEM.upper(), P),
        ("Application/Problem+JSON; Q=0.9, application/JSON;q=0.8", P),
        ("APPLICATION/JSON", E),
        # weights
        (f"{JSON};q=0.5, {PROBLEM}", P),
        (f"{JSON};q=0.5,{PROBLEM};q=0.4", E),
        (f"{JSON} ; q=0.5 , {PROBLEM} ; q=0.51", P),
        (f"{PROBLEM};q=0.001, {JSON};q=0", P),
        # who refuses one is given the other, whatever the default
        (f"{JSON};q=0", P),
        (f"{PROBLEM};q=0", E),
        (f"{JSON};q=0, */*", P),
        (f"{PROBLEM};q=0.0, application/*", E),
        (f"text/html, {JSON};q=0.000", P),
        (f"*/*;q=0, {PROBLEM}", P),
        # the most specific range counts, in whatever order
        (f"*/*, {JSON};q=0.1", P),
        (f"{PROBLEM};q=0.2, application/*;q=0.8, */*;q=0.1", E),
        (f"application/*;q=0.3, {PROBLEM};q=0.2", E),
        # who names a type prefers it to what a wildcard covers
        (f"{PROBLEM}, */*", P),
        (f"{JSON}, application/*", E),
        (f"*/*, {PROBLEM}", P),
        # quotes, parameters, several headers joined
        (f'text/html;a="b, {JSON}", {PROBLEM}', P),
        (f'{PROBLEM};profile="a;q=0", {JSON};q=0.5', P),
        (f"{PROBLEM}; charset=utf-8", P),
        (f"{PROBLEM};q=0.5;ext=1, {JSON};q=0.4", P),
    ],
)
@pytest.mark.parametrize("default", [E, P])
def test_the_spelling_that_is_preferred_is_sent(accept, spelling, default):
    assert preferred_spelling(accept, default=default) == spelling


@pytest.mark.parametrize(
    "accept",
    [
        *("", None, "*/*", "application/*", "text/html", "text/html, */*;q=0.1", ",", ";", ";q=1"),
        *(f"{JSON}, {PROBLEM}", f"{JSON};q=0, {PROBLEM};q=0", "*/*;q=0", "application/*;q=0.5"),
        *("json", "application", "application/*+json", "problem+json", "text/json"),
    ],
)
@pytest.mark.parametrize("default", [E, P])
def test_a_draw_is_the_default(accept, default):
    assert preferred_spelling(accept, default=default) == default


@pytest.mark.parametrize("weight", ["abc", "", "nan", "inf", "-1", "1e3", "2", "."])
def test_a_weight_that_is_none_does_not_refuse(weight):
    assert preferred_spelling(f"{PROBLEM};q={weight}, text/html", default=E) == P


@given(st.text(max_size=80), st.sampled_from([E, P]))
def test_whatever_is_sent_there_is_an_answer(accept, default):
    assert preferred_spelling(accept, default=default) in {E, P}


@given(st.integers(0, 1000), st.integers(0, 1000), st.sampled_from([E, P]))
def test_the_higher_weight_wins_in_either_order(plain, problem, default):
    ranges = [f"{JSON};q={plain / 1000}", f"{PROBLEM};q={problem / 1000}"]

    answers = {
        preferred_spelling(",".join(sent), default=default) for sent in (ranges, ranges[::-1])
    }

    expected = default if plain == problem else E if plain > problem else P
    assert answers == {expected}

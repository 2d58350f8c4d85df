"""`merge` is RFC 7396, whatever comes in."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy import patching

APPENDIX_A: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=10,
)
objects = st.dictionaries(st.sampled_from("abc"), json_values)


@pytest.mark.parametrize(("target", "patch", "outcome"), APPENDIX_A)
def test_every_example_of_appendix_a_comes_out_as_printed(target, patch, outcome):
    assert patching.merge(target, patch) == outcome


@given(json_values, json_values)
def test_merging_twice_is_merging_once(target, patch):
    once = patching.merge(target, patch)

    assert patching.merge(once, patch) == once


@given(json_values, json_values)
def test_neither_argument_is_changed(target, patch):
    before = copy.deepcopy((target, patch))

    patching.merge(target, patch)

    assert (target, patch) == before


@given(objects, objects)
def test_a_member_that_is_not_named_keeps_its_value(target, patch):
    merged = patching.merge(target, patch)

    kept = target.keys() - patch.keys()
    assert {name: merged[name] for name in kept} == {name: target[name] for name in kept}


@given(json_values, objects)
def test_a_member_that_is_null_is_gone(target, patch):
    merged = patching.merge(target, patch)

    assert not any(name in merged for name, value in patch.items() if value is None)

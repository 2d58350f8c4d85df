"""Every rule finds what its bad examples mark, and nothing in its good ones."""

from pathlib import Path

import pytest

from roadworthy.audit.model.finding import Confidence, Finding
from roadworthy.audit.model.rule import Example, Rule
from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

BAD = [
    pytest.param(rule, example, id=f"{rule.code}-{number}")
    for rule in RULES
    for number, example in enumerate(rule.bad)
]
GOOD = [
    pytest.param(example, id=f"{rule.code}-{number}")
    for rule in RULES
    for number, example in enumerate(rule.good)
]


def shown(example: Example, folder: Path, *rules: Rule) -> list[Finding]:
    """Audit an example's files, and return what is shown by default."""
    for path, source in example.files().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(source)
    result = audit([folder], root=folder, rules=rules, processes=1)
    assert result.skipped == ()
    return [
        one for one in result.findings if one.confidence is not Confidence.LOW and not one.since
    ]


@pytest.mark.parametrize(("rule", "example"), BAD)
def test_a_bad_example_is_found_where_it_is_marked_and_nowhere_else(rule, example, tmp_path):
    found = shown(example, tmp_path, rule)

    assert example.expected() != set()
    assert {(one.path, one.line) for one in found} == example.expected()


@pytest.mark.parametrize("example", GOOD)
def test_no_rule_finds_anything_in_a_good_example(example, tmp_path):
    assert shown(example, tmp_path, *(rule for rule in RULES if rule.default)) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rule_says_why_and_what_to_type(rule):
    assert rule.summary.endswith(".")
    assert rule.why
    assert rule.mend
    assert rule.bad
    assert rule.good


def test_no_two_rules_have_the_same_code_or_name():
    assert len({rule.code for rule in RULES}) == len(RULES)
    assert len({rule.name for rule in RULES}) == len(RULES)

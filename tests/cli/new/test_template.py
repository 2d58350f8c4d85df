"""Lines with a condition before them."""

import pytest

from roadworthy.cli.new.files import _TEMPLATES
from roadworthy.cli.new.template import render
from support.source import REPOSITORY

SERVICE = REPOSITORY / "src/roadworthy/cli/new/service"


@pytest.mark.parametrize(
    ("having", "lines"),
    [
        ((), ["always", "no jobs"]),
        (("jobs",), ["always", "jobs", "either"]),
        (("jobs", "uploads"), ["always", "jobs", "both", "either"]),
        (("uploads",), ["always", "no jobs", "either"]),
    ],
)
def test_a_line_is_there_if_all_of_its_condition_holds(having, lines):
    text = "| always\njobs|jobs\n-jobs | no jobs\njobs uploads|both\n jobs/uploads | either\n"

    assert render(text, having=having, values={}).splitlines() == lines


def test_values_are_put_in_and_bars_behind_the_first_stay():
    text = "  | a | ${what}b |\n  |\n  |     $$5\n"

    assert render(text, having=(), values={"what": "x"}) == "a | xb |\n\n    $5\n"


@pytest.mark.parametrize("text", ["no bar\n", "| $unknown\n", "| 5 $ \n"])
def test_what_is_written_wrong_is_no_silence(text):
    with pytest.raises((KeyError, ValueError)):
        render(text, having=(), values={})


def test_every_file_of_the_service_is_used():
    assert {path.name for path in SERVICE.iterdir()} == {
        f"{name}.txt" for name in _TEMPLATES.values()
    }


@pytest.mark.parametrize("path", sorted(SERVICE.iterdir()), ids=lambda path: path.name)
def test_conditions_are_words_that_can_hold(path):
    known = {"jobs", "uploads", "console", "sqlite", "postgresql", "sync", "async"}
    conditions = [line.split("|", 1)[0] for line in path.read_text().splitlines()]
    words = {
        w.removeprefix("-") for c in conditions for group in c.split() for w in group.split("/")
    }

    assert words <= known
    assert len({len(condition) for condition in conditions}) == 1, "the bars stand in one column"

"""Options of tasks and engines stand in one place, and are shown and checked everywhere."""

import inspect
from dataclasses import fields

import pytest

from roadworthy.jobs import (
    BrokerOptions,
    Embedded,
    EmbeddedOptions,
    TaskOptions,
    WorkerOptions,
    task,
)
from roadworthy.jobs.broker import BrokerEngine
from roadworthy.jobs.engines.celery import CeleryEngine
from roadworthy.jobs.engines.rq import RqEngine
from roadworthy.jobs.task_options import TaskTerms
from roadworthy.jobs.worker.options import BrokerLimits, EmbeddedLimits

OPTIONS = [
    (TaskOptions, TaskTerms, {"runs_on"}),
    (EmbeddedOptions, EmbeddedLimits, set()),
    (BrokerOptions, BrokerLimits, set()),
]


@pytest.mark.parametrize(("options", "defaults", "besides"), OPTIONS)
def test_each_option_has_a_type_and_a_default(options, defaults, besides):
    assert options.__annotations__.keys() == {it.name for it in fields(defaults)} - besides


@pytest.mark.parametrize("options", [TaskOptions, EmbeddedOptions, BrokerOptions])
def test_each_option_is_explained(options):
    told = f"{options.__doc__}{WorkerOptions.__doc__}"

    assert [name for name in options.__annotations__ if f"- `{name}`:" not in told] == []


@pytest.mark.parametrize(
    ("shown", "options"),
    [
        (task, TaskOptions),
        (Embedded, EmbeddedOptions),
        (BrokerEngine, BrokerOptions),
        (CeleryEngine, BrokerOptions),
        (RqEngine, BrokerOptions),
    ],
)
def test_help_shows_each_option_with_its_default(shown, options):
    parameters = inspect.signature(shown).parameters

    assert options.__annotations__.keys() <= parameters.keys()
    assert all(
        parameters[name].default is not inspect.Parameter.empty for name in options.__annotations__
    )


@pytest.mark.parametrize(
    ("make", "owner"),
    [
        (lambda: task(tries=3), r"task\(\)"),
        (lambda: Embedded(tries=3), "Embedded"),
        (lambda: RqEngine("redis://localhost", tries=3), "RqEngine"),
    ],
)
def test_an_option_that_does_not_exist_is_refused_with_those_that_do(make, owner):
    with pytest.raises(TypeError, match=rf"{owner} has no option tries\. It takes \w+, "):
        make()

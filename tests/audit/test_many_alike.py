"""Many findings of one kind: what is new among them is seen, and a reader is shown a few."""

import json

import pytest

HEADS = {
    "RW301": "from fastapi import FastAPI, HTTPException\napp = FastAPI()\n",
    "RW401": (
        "import smtplib\nfrom fastapi import BackgroundTasks, FastAPI\napp = FastAPI()\n"
        "def mail(n):\n    smtplib.SMTP('mail', timeout=3).sendmail('a', 'b', str(n))\n"
    ),
    "RW403": "import asyncio\nfrom fastapi import FastAPI\napp = FastAPI()\n",
    "RW701": "import subprocess\nfrom fastapi import FastAPI\napp = FastAPI()\n",
    "RW702": (
        "import subprocess\nfrom fastapi import FastAPI\napp = FastAPI()\n"
        "def work(n):\n    subprocess.run(['ls', str(n)])\n"
    ),
    "RW703": "import redis\nfrom fastapi import FastAPI\napp = FastAPI()\nr = redis.Redis()\n",
}
BODIES = {
    "RW301": (
        "    try:\n        return load({n})\n"
        "    except Exception as error:\n        raise HTTPException(500, str(error))\n"
    ),
    "RW401": "    tasks.add_task(mail, {n})\n",
    "RW403": "    asyncio.create_task(load({n}))\n",
    "RW701": "    subprocess.run(['ls', '{n}'])\n",
    "RW702": "    work({n})\n",
    "RW703": "    r.get('{n}')\n",
}
SEVERAL = (1, 3, 4, 9)


def routes(rule: str, count: int, *, first: int = 0) -> str:
    takes = "tasks: BackgroundTasks" if rule == "RW401" else ""
    return "".join(
        f"@app.get('/r{n}')\nasync def r{n}({takes}):\n{BODIES[rule].format(n=n)}"
        for n in range(first, first + count)
    )


@pytest.fixture
def grown(project):
    """Commit so many routes of a mistake, take a baseline, and add one."""

    def grow(rule: str, before: int, added: str) -> int:
        source = HEADS[rule] + routes(rule, before)
        project.write("shop.py", source)
        project.commit()
        project.run("--select", rule, "--write-baseline", "known.json")
        project.write("shop.py", source + added)
        return source.count("\n")

    return grow


@pytest.mark.sampled
@pytest.mark.parametrize("before", SEVERAL)
@pytest.mark.parametrize("rule", HEADS)
def test_one_more_is_new_for_a_diff_and_a_baseline(project, grown, rule, before):
    lines = grown(rule, before, routes(rule, 1, first=77))

    for option in (("--diff", "HEAD"), ("--baseline", "known.json")):
        found = project.found("--select", rule, "--no-cache", *option)
        assert [(code, line > lines) for code, _, line in found] == [(rule, True)]


@pytest.mark.parametrize("rule", ["RW701", "RW702", "RW703", "RW401", "RW403"])
def test_one_more_in_the_same_function_is_new(project, grown, rule):
    lines = grown(rule, 2, BODIES[rule].format(n=78))

    for option in (("--diff", "HEAD"), ("--baseline", "known.json")):
        found = project.found("--select", rule, "--no-cache", *option)
        assert found == [(rule, "shop.py", lines + 1)]


@pytest.mark.parametrize("rule", HEADS)
def test_mending_the_first_makes_no_other_one_new(project, grown, rule):
    grown(rule, 9, "")
    project.write("shop.py", HEADS[rule] + routes(rule, 8, first=1))

    assert project.found("--select", rule, "--baseline", "known.json") == []
    assert project.found("--select", rule, "--diff", "HEAD") == []


def test_a_reader_is_shown_ten_places_of_a_rule_and_the_number_of_the_others(project):
    project.write("shop.py", HEADS["RW701"] + routes("RW701", 12))
    project.write("more.py", HEADS["RW701"] + routes("RW701", 3))

    short, whole = project.run("--select", "RW7").stdout, project.run("--select", "RW7", "--all")

    assert short.count(" in r") == 10
    assert "5 more in 1 file: shop.py (5). --all shows them." in short
    assert "RW701 blocking-call-in-async-route  medium, 15 found" in short
    assert whole.stdout.count(" in r") == 15
    assert "more in" not in whole.stdout


def test_other_functions_are_shown_before_a_second_place_of_one(project):
    many = routes("RW701", 1) + "".join(BODIES["RW701"].format(n=n) for n in range(12))
    project.write("shop.py", HEADS["RW701"] + many + routes("RW701", 1, first=50))

    assert " in r50" in project.run("--select", "RW7").stdout


def test_programs_are_given_all_of_them(project):
    project.write("shop.py", HEADS["RW701"] + routes("RW701", 12))

    assert len(json.loads(project.run("--format", "json").stdout)) == 12

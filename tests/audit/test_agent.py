"""`--format agent`: an object that says what was found, how to mend it, what to type next."""

import json

MANY = """\
import time

from fastapi import FastAPI

app = FastAPI()
"""
ROUTE = "\n\n@app.get('/r{n}')\nasync def r{n}():\n    time.sleep({n})\n    return {{}}\n"


def said(project, *words):
    done = project.run("--no-cache", "--format", "agent", *words)
    return json.loads(done.stdout)


def test_a_rule_is_explained_once_and_its_places_are_limited(project):
    project.write("shop.py", MANY + "".join(ROUTE.format(n=n) for n in range(12)))

    whole = said(project, "--limit", "3", "shop.py")

    assert (whole["counts"]["found"], whole["counts"]["shown"]) == (12, 3)
    (rule,) = whole["rules"]
    assert (rule["code"], rule["found"], len(rule["findings"])) == ("RW701", 12, 3)
    assert whole["next"][0] == "roadworthy audit shop.py --fix"
    assert "roadworthy audit shop.py --format agent --all" in whole["next"]
    assert len(said(project, "--all")["rules"][0]["findings"]) == 12


def test_an_edit_applied_to_the_file_mends_the_finding(project):
    file = project.write("shop.py", MANY + ROUTE.format(n=1))
    (finding,) = said(project)["rules"][0]["findings"]

    source = file.read_text()
    for edit in finding["edits"]:
        assert source.count(edit["old"]) == 1
        source = source.replace(edit["old"], edit["new"])
    file.write_text(source)

    assert "await asyncio.sleep(1)" in source
    assert said(project)["counts"]["found"] == 0
    assert said(project)["next"] == []


def test_a_fingerprint_stays_when_lines_move(project):
    file = project.write("shop.py", MANY + ROUTE.format(n=1))
    before = said(project)["rules"][0]["findings"][0]["fingerprint"]
    file.write_text("# more\n" + file.read_text())

    assert said(project)["rules"][0]["findings"][0]["fingerprint"] == before

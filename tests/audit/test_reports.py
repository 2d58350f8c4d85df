"""Each report says what was found, in the form that its reader takes."""

import json
from pathlib import Path

import jsonschema
import pytest

from roadworthy.audit.model.finding import Confidence, Finding, Severity, Step
from roadworthy.audit.model.result import Result, Skipped
from roadworthy.audit.report import FORMATS
from roadworthy.audit.run.inspection import Inspection
from roadworthy.audit.run.own_rules import all_rules

SCHEMA = Path(__file__).parent / "data/sarif-2.1.0-rtm.5.json"
FLOW = (
    Step("app/routes.py", 3, "PATCH /items takes the body"),
    Step("app/db.py", 7, "writes it without asking"),
)


@pytest.fixture
def finding():
    def make(**options):
        given = {
            "rule": "RW101",
            "name": "patch-null-overwrite",
            "path": "app/routes.py",
            "line": 3,
            "column": 5,
            "end_line": 3,
            "severity": Severity.HIGH,
            "confidence": Confidence.HIGH,
            "message": "Who does not send `name` has null written over it.",
            "mend": "body.model_dump(exclude_unset=True)",
            "where": "change",
            "code": "save(patch)",
            "flow": FLOW,
        }
        return Finding(**{**given, **options})

    return make


@pytest.fixture
def inspection(tmp_path):
    (tmp_path / "app").mkdir()
    source = "router = APIRouter()\ndef change(patch):\n    save(patch)  # at once\n"
    (tmp_path / "app/routes.py").write_text(source)

    def make(*findings, **options):
        skipped = (Skipped("app/old name.py", "line 1: invalid syntax"),)
        result = Result(findings=findings, files=4, parsed=2, routes=3, skipped=skipped)
        given = {"findings": findings, "result": result, "rules": all_rules(), "root": tmp_path}
        return Inspection(**{**given, "hidden": {"ignored": 2}, **options})

    return make


def test_text_shows_the_code_the_message_the_way_and_the_mend(inspection, finding):
    text = FORMATS["text"](inspection(finding()))

    head, body = text.split("\n\n", 1)
    assert head.startswith("RW101 patch-null-overwrite  high, 1 found\n  Fix: ")
    assert body.startswith(
        """\
  app/routes.py:3:5  in change
     3 | save(patch)  # at once
       | ^^^^^^^^^^^
    Who does not send `name` has null written over it.
      app/routes.py:3  PATCH /items takes the body
    → app/db.py:7  writes it without asking
"""
    )
    assert body.endswith(
        """\
Not analysed: 1 file.
  app/old name.py: line 1: invalid syntax
Not shown: 2 ignored by comments.
1 found (1 high) in 1 file. 3 routes in 4 Python files."""
    )


def test_text_has_the_gravest_first_and_says_what_is_alike_once(inspection, finding):
    low = finding(rule="RW001", name="unused-ignore", severity=Severity.LOW, flow=())
    text = FORMATS["text"](inspection(low, finding(), finding(line=2)))

    assert text.index("RW101 ") < text.index("RW001 ")
    assert text.count("has null written over it") == 2
    assert text.count("RW101 patch-null-overwrite") == 1


def test_text_says_where_no_route_was_found(inspection):
    empty = Result(findings=(), files=2, parsed=0, routes=0)

    text = FORMATS["text"](inspection(result=empty, hidden={}))

    assert text.startswith("Nothing found. No route of FastAPI in 2 Python files.")


def test_json_has_these_members_and_no_others(inspection, finding):
    (one,) = json.loads(FORMATS["json"](inspection(finding())))

    assert list(one) == [
        "rule",
        "name",
        "path",
        "line",
        "column",
        "end_line",
        "severity",
        "confidence",
        "message",
        "mend",
        "fixable",
        "flow",
    ]
    assert one["flow"][1] == {
        "path": "app/db.py",
        "line": 7,
        "message": "writes it without asking",
    }
    assert (one["severity"], one["confidence"]) == ("high", "high")


def test_json_of_nothing_is_an_empty_list(inspection):
    assert json.loads(FORMATS["json"](inspection())) == []


def test_sarif_is_valid_by_the_schema_of_oasis(inspection, finding):
    elsewhere = finding(path="/elsewhere/a b.py", flow=(), where="")
    log = json.loads(FORMATS["sarif"](inspection(finding(), finding(), elsewhere)))

    jsonschema.Draft4Validator(json.loads(SCHEMA.read_text())).validate(log)
    results = log["runs"][0]["results"]
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    assert [rules[one["ruleIndex"]]["id"] for one in results] == ["RW101"] * 3
    marks = {one["partialFingerprints"]["primaryLocationLineHash"] for one in results}
    assert len(marks) == 3
    assert len(results[0]["codeFlows"][0]["threadFlows"][0]["locations"]) == 3


def test_the_schema_refuses_what_is_no_sarif():
    """The test above can fail."""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(json.loads(SCHEMA.read_text())).validate({"runs": []})


def test_a_fingerprint_stays_when_lines_are_added_above(inspection, finding):
    def marks(line):
        log = json.loads(FORMATS["sarif"](inspection(finding(line=line))))
        return log["runs"][0]["results"][0]["partialFingerprints"]

    assert marks(3) == marks(30)


def test_sarif_says_which_files_were_not_analysed(inspection):
    log = json.loads(FORMATS["sarif"](inspection()))

    (notice,) = log["runs"][0]["invocations"][0]["toolExecutionNotifications"]
    place = notice["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": "app/old%20name.py", "uriBaseId": "%SRCROOT%"}


def test_github_gets_a_line_for_each_finding_without_what_would_end_it(inspection, finding):
    odd = finding(path="a,b:c.py", message="50% of\nit", mend="x")

    assert FORMATS["github"](inspection(odd)) == (
        "::error file=a%2Cb%3Ac.py,line=3,endLine=3,col=5,title=RW101 patch-null-overwrite"
        "::50%25 of%0Ait%0Ax"
    )


@pytest.mark.parametrize(
    ("severity", "level"),
    [(Severity.HIGH, "error"), (Severity.MEDIUM, "warning"), (Severity.LOW, "notice")],
)
def test_github_shows_severity_as_a_level(inspection, finding, severity, level):
    assert FORMATS["github"](inspection(finding(severity=severity))).startswith(f"::{level} ")


def test_markdown_has_a_table_and_a_list(inspection, finding):
    text = FORMATS["markdown"](inspection(finding()))

    assert "| RW101 patch-null-overwrite | high | 1 | " in text
    assert "- `app/routes.py:3` in `change`: Who does not send `name`" in text
    assert "  - `app/db.py:7` writes it without asking" in text

"""Which routes fail where they say so, and which say how something else went."""

import pytest

from roadworthy.audit.model.finding import Confidence
from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

SOURCE = """
from fastapi import FastAPI, HTTPException
from sqlalchemy.orm import Session
from shop import pay, send

app = FastAPI()

@app.post("{path}")
def {name}(address: str, works: bool, session: Session):
    {body}
"""
TELLS = """try:
        send(address)
    except Exception as error:
        {answer}
    return {{"success": True}}"""
ENDS = """if works:
        return {{"success": True}}
    else:
        {before}
        return {{{answer}}}"""


@pytest.fixture
def found(write):
    def ask(code: str, body: str, path: str = "/mails", name: str = "send_mail"):
        folder = write(SOURCE.format(path=path, name=name, body=body))
        rules = [rule for rule in RULES if rule.code == code]
        return audit([folder], root=folder, rules=rules, processes=1).findings

    return ask


def _is_sure(findings) -> bool:
    return any(one.confidence is not Confidence.LOW for one in findings)


@pytest.mark.parametrize(
    ("path", "name", "status", "sure"),
    [
        ("/mails/test", "send_one", 502, False),
        ("/mails", "test_mail", 504, False),
        ("/debug/mails", "send_one", 400, False),
        ("/mails/test", "send_one", 500, True),
        ("/mails", "send_one", 502, True),
        ("/contests", "send_one", 502, True),
    ],
)
def test_a_route_that_tests_another_server_says_why_that_failed(found, path, name, status, sure):
    answer = f"raise HTTPException({status}, str(error)) from error"

    findings = found("RW301", TELLS.format(answer=answer), path, name)

    assert _is_sure(findings) is sure


@pytest.mark.parametrize(("path", "some"), [("/debug/mails", False), ("/bugs", True)])
def test_a_route_for_debugging_answers_that_something_failed(found, path, some):
    body = TELLS.format(answer='return {"success": False}')

    assert bool(found("RW303", body, path, "send_one")) is some


@pytest.mark.parametrize(
    ("before", "sure"),
    [
        ("session.commit()", False),
        ("session.add(works); session.commit()", False),
        ("session.rollback()", True),
        ("pay(address)", True),
    ],
)
def test_what_was_written_down_did_not_fail(found, before, sure):
    body = ENDS.format(before=before, answer='"success": False')

    assert _is_sure(found("RW303", body)) is sure


@pytest.mark.parametrize("name", ["error", "errors"])
def test_a_message_names_the_member_that_is_there(found, name):
    body = TELLS.format(answer=f'return {{"{name}": ["none"]}}')

    (one,) = found("RW303", body)

    assert f"(`{name}`)" in one.message

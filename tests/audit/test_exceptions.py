"""What an `except` covers is what the real classes say."""

import importlib

import pytest

from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit
from roadworthy.audit.source.exceptions import PARENTS, covers
from roadworthy.audit.source.libraries import canonical

RULE = [one for one in RULES if one.code == "RW401"]


def real(name: str) -> type[BaseException]:
    module, _, last = name.rpartition(".")
    found: type[BaseException] = getattr(pytest.importorskip(module), last)
    return found


@pytest.mark.parametrize("name", PARENTS)
def test_the_known_parents_of_an_exception_are_its_own(name):
    child = real(name)

    assert all(issubclass(child, real(parent)) for parent in PARENTS[name])


@pytest.mark.parametrize("alias", ["IOError", "EnvironmentError"])
def test_an_alias_of_python_is_the_class_that_it_stands_for(alias):
    cls = getattr(importlib.import_module("builtins"), alias)

    assert canonical(f"builtins.{alias}") == f"builtins.{cls.__name__}"


def test_a_class_covers_those_below_it_and_no_others():
    assert covers("builtins.OSError", "smtplib.SMTPDataError")
    assert covers("builtins.Exception", "somewhere.Unknown")
    assert not covers("smtplib.SMTPDataError", "builtins.OSError")
    assert not covers("builtins.ValueError", "builtins.KeyError")


TASK = """
import logging, smtplib, socket, subprocess, urllib.error, urllib.request
from contextlib import suppress
import boto3, httpx, redis, requests, sqlalchemy
from botocore.exceptions import BotoCoreError, ClientError
from fastapi import BackgroundTasks, FastAPI

app = FastAPI()
log = logging.getLogger(__name__)
store = boto3.client("s3")
cache = redis.Redis()
FAULTS = (OSError, ValueError)

def work(to: str):
    {body}

@app.post("/")
def add(to: str, tasks: BackgroundTasks):
    tasks.add_task(work, to)
"""
TRY = "try:\n        {call}\n    except {caught}:\n        log.exception('no')"
MAIL = "smtplib.SMTP('x').sendmail('a', to, 'b')"
COVERED = [
    *[(MAIL, "OSError"), (MAIL, "IOError"), (MAIL, "EnvironmentError"), (MAIL, "socket.error")],
    *[(MAIL, "(ValueError, OSError)"), (MAIL, "FAULTS"), (MAIL, "Exception")],
    *[("socket.create_connection(('x', 1))", "OSError"), ("requests.post(to)", "OSError")],
    *[("requests.post(to)", "requests.RequestException"), ("httpx.post(to)", "httpx.HTTPError")],
    *[("requests.post(to)", "requests.exceptions.RequestException")],
    *[("httpx.post(to)", "httpx.RequestError"), ("cache.set('a', to)", "redis.RedisError")],
    *[("cache.set('a', to)", "redis.exceptions.RedisError")],
    *[("httpx.post(to).raise_for_status()", "httpx.HTTPError")],
    *[("urllib.request.urlopen(to)", "OSError"), ("subprocess.run(['x'])", "OSError")],
    *[("urllib.request.urlopen(to)", "urllib.error.URLError")],
    *[("subprocess.run(['x'], check=True)", "(OSError, subprocess.SubprocessError)")],
    *[("store.put_object(Bucket='a', Key=to)", "(BotoCoreError, ClientError)")],
]
PARTS = [
    *[(MAIL, "smtplib.SMTPRecipientsRefused"), (MAIL, "TimeoutError"), (MAIL, "ValueError")],
    *[(MAIL, "(smtplib.SMTPDataError, KeyError)"), ("requests.post(to)", "requests.Timeout")],
    *[("httpx.post(to)", "httpx.TimeoutException"), ("httpx.post(to)", "httpx.HTTPStatusError")],
    *[("httpx.post(to)", "OSError"), ("urllib.request.urlopen(to)", "urllib.error.HTTPError")],
    *[("httpx.post(to).raise_for_status()", "httpx.RequestError")],
    *[("subprocess.run(['x'], check=True)", "subprocess.CalledProcessError")],
    *[("store.put_object(Bucket='a', Key=to)", "ClientError")],
    *[("cache.set('a', to)", "redis.TimeoutError")],
]


def found(write, body: str) -> bool:
    folder = write(TASK.format(body=body))
    return bool(audit([folder], root=folder, rules=RULE, processes=1).findings)


@pytest.mark.parametrize(("call", "caught"), COVERED)
def test_a_task_whose_errors_are_all_caught_is_quiet(write, call, caught):
    assert not found(write, TRY.format(call=call, caught=caught))
    assert found(write, call)


@pytest.mark.parametrize(("call", "caught"), PARTS)
def test_a_part_of_what_a_call_raises_covers_nothing(write, call, caught):
    assert found(write, TRY.format(call=call, caught=caught))


@pytest.mark.parametrize(("caught", "quiet"), [("OSError", True), ("KeyError", False)])
def test_suppress_covers_what_it_is_given(write, caught, quiet):
    assert found(write, f"with suppress({caught}):\n        {MAIL}") is not quiet


def test_what_is_raised_again_is_not_covered(write):
    assert found(write, TRY.format(call=MAIL, caught="OSError") + "; raise")

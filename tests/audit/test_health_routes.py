"""One definition of a health route, for every rule and for the checklist."""

import json

import pytest

HEAD = """\
from fastapi import APIRouter, Depends, FastAPI, Security
from fastapi.security import HTTPBearer
from sqlalchemy import create_engine, text

PREFIX = "/health"
app = FastAPI()
engine = create_engine("postgresql:///library")
token = HTTPBearer()
def reader(found=Depends(token)):
    return found
"""
PROBES = [
    *("/health", "/healthz", "/health/", "/api/v1/health", "/health/live", "/health-check"),
    *("/healthcheck", "/health_check", "/_health", "/__heartbeat__", "/__lbheartbeat__", "/livez"),
    *("/heartbeat", "/-/healthy", "/-/ready", "/readyz", "/ready", "/live", "/alive", "/is_alive"),
    *("/api/health-status", "/isReady", "/v2/ready", "/users/health", "/internal/probes/ready"),
]
NONE = [
    *("/livestock", "/olives", "/already-paid", "/deliveries", "/healthy-recipes", "/ready-made"),
    *("/orders/ready", "/matches/live", "/health-insurance", "/alive-and-well", "/healthful"),
    *("/devices/{number}/health", "/live/scores", "/readyness-tests-of-cars", "/unhealthy", "/"),
]


def asked(project, source: str) -> bool:
    """Return whether the checklist and RW601 take a route for one of health."""
    project.write("shop.py", HEAD + source)
    done = project.run("--checklist", "--format", "json", "--no-cache")
    counted = json.loads(done.stdout)[5]["answer"] != "could not tell"
    found = project.found("--select", "RW601", "--no-cache") != []
    assert counted is found
    return found


@pytest.mark.parametrize("path", PROBES)
def test_probes_are_known_by_whole_segments(project, path):
    assert asked(project, f"@app.get('{path}')\ndef state():\n    return {{}}\n")


@pytest.mark.parametrize("path", NONE)
def test_words_that_contain_others_are_none(project, path):
    number = "number: int" if "{" in path else ""
    assert not asked(project, f"@app.get('{path}')\ndef health({number}):\n    return {{}}\n")


@pytest.mark.parametrize(
    "source",
    [
        "r = APIRouter()\n{route}app.include_router(r, prefix='/health')\n",
        "r = APIRouter()\n{route}app.include_router(r, prefix=PREFIX)\n",
        "r = APIRouter(prefix='/health')\n{route}app.include_router(r)\n",
        "r = APIRouter(prefix=PREFIX)\n{route}app.include_router(r, prefix='/api')\n",
        (
            "r = APIRouter()\no = APIRouter()\n{route}o.include_router(r, prefix='/health')\n"
            "app.include_router(o, prefix='/v1')\n"
        ),
    ],
)
def test_prefixes_are_joined(project, source):
    route = "@r.get('')\ndef state():\n    return {}\n"

    assert asked(project, source.replace("{route}", route))
    source = source.replace("{route}", route).replace("PREFIX", "'/health'")
    assert not asked(project, source.replace("health", "books"))


@pytest.mark.parametrize("how", ["Depends", "Security"])
def test_who_is_given_the_user_is_no_probe(project, how):
    route = f"@app.get('/me/health')\ndef health(user={how}(reader)):\n    return {{}}\n"

    assert not asked(project, route)


def test_a_guard_makes_it_no_other_route(project):
    guard = "dependencies=[Depends(reader)]"

    assert asked(project, f"@app.get('/health', {guard})\ndef health():\n    return {{}}\n")


def test_a_thing_s_state_may_be_answered_with_200(project):
    project.write(
        "shop.py",
        HEAD
        + "@app.get('/printers/{number}/health')\n"
        + "def printer(number: int):\n    try:\n        return ask(number)\n"
        + "    except OSError:\n        return {'paper': 'unknown'}\n",
    )

    assert project.found("--select", "RW602") == []
    source = (project.folder / "shop.py").read_text().replace("/printers/{number}", "")
    project.write("shop.py", source)
    assert [code for code, *_ in project.found("--select", "RW602")] == ["RW602"]


CONSTANT = "from fastapi import FastAPI\napp = FastAPI()\n@app.get('/health')\ndef h(): return {}\n"


@pytest.mark.parametrize(
    ("file", "text", "found"),
    [
        ("uv.lock", '[[package]]\nname = "sqlalchemy"\nversion = "2.0.1"\n', False),
        ("poetry.lock", '[[package]]\nname = "redis"\nversion = "5.0.1"\n', False),
        ("requirements.txt", "fastapi\nsqlalchemy==2.0.1\n", True),
        ("requirements.txt", "fastapi\nhttpx\n", False),
        ("shop/store.py", "from supabase import create_client\n", True),
        ("shop/store.py", "import peewee\n", True),
        ("shop/store.py", "import whisper\n", False),
    ],
)
def test_what_only_a_lock_names_is_nothing_to_ask(project, file, text, found):
    project.write("pyproject.toml", '[project]\nname = "shop"\ndependencies = ["fastapi"]\n')
    project.write("shop/api.py", CONSTANT)
    project.write(file, text)

    assert bool(project.found("--select", "RW601", "--no-cache")) is found


HELPED = """\
import json
from fastapi import FastAPI
from redis import Redis, RedisError
app, cache = FastAPI(), Redis()
def folders():
    try:
        return cache.get("folders")
    except {kinds}:
        return []
@app.get("/health")
def health():
    return {{"folders": folders()}}
"""


@pytest.mark.parametrize(
    ("kinds", "found"),
    [
        *(("FileNotFoundError", False), ("(KeyError, ValueError)", False)),
        *(("json.JSONDecodeError", False), ("(KeyError, RedisError)", True)),
        *(("RedisError", True), ("Exception", True), ("OSError", True)),
        *(("TimeoutError", True), ("ConnectionError", True)),
    ],
)
def test_a_mistake_of_the_code_is_no_outage(project, kinds, found):
    project.write("shop.py", HELPED.format(kinds=kinds))
    assert bool(project.found("--select", "RW602", "--no-cache")) is found

    inner = f"    try:\n        cache.ping()\n    except {kinds}:\n        pass\n    return {{}}\n"
    project.write("shop.py", HELPED.format(kinds=kinds).partition('    return {"fo')[0] + inner)
    assert bool(project.found("--select", "RW602", "--no-cache")) is found
